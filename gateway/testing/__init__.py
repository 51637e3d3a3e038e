"""Public conformance checks: run them against your own store, target or verifier; the gateway's own pass them too."""

from gateway.testing.store import check_store as check_store
from gateway.testing.target import check_target as check_target
from gateway.testing.verifier import check_verifier as check_verifier
