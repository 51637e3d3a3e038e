"""Public conformance checks for your own store, target, verifier or transform; the gateway's own pass them too."""

from gateway.testing.store import check_store as check_store
from gateway.testing.target import check_target as check_target
from gateway.testing.target import sample_message as sample_message
from gateway.testing.transform import check_transform as check_transform
from gateway.testing.verifier import check_verifier as check_verifier
