"""Public conformance checks: run them against your own store, target or verifier; the gateway's own pass them too."""

from gateway.testing.verifier import check_verifier as check_verifier
