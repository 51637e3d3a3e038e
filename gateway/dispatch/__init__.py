"""Dispatch: from the store to the target. Begins at the store; knows nothing of providers or requests."""
