"""Asking a provider's API for documents: what fetch-back and pollers share, and an event's own resource."""
