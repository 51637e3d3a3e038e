"""Reconciliation: asks a provider's lists whether something happened that no webhook told of."""
