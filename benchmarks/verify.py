"""What verification costs: the CPU time of one `verify` of a request of 1 kB, for each kind of proof.

Printed beside the CPU time of a request to the bare echo, since machines differ. Run alone it measures only itself.
"""

import time
from typing import Any, Final

from gateway.cli.made_up import made_up_secret
from gateway.core.model import Request
from gateway.plugin import Verifier, load_kinds

ROUNDS: Final = 3
NOW: Final = 1_900_000_000_000
SCHEMES: Final[dict[str, dict[str, Any]]] = {
    "token": {"scheme": "token", "header": "X-Token"},
    "HMAC-SHA256": {"scheme": "hmac", "header": "X-Sig", "prefix": "sha256="},
    "Standard Webhooks": {
        "scheme": "hmac",
        "header": "webhook-signature",
        "shape": "list",
        "prefix": "v1,",
        "encoding": "base64",
        "key": "whsec",
        "template": "{id}.{timestamp}.{body}",
        "id": "header.webhook-id",
        "timestamp": "header.webhook-timestamp",
    },
    "Ed25519": {"scheme": "signature", "header": "X-Sig", "algorithm": "ed25519"},
    "ECDSA P-256": {"scheme": "signature", "header": "X-Sig", "algorithm": "ecdsa-p256"},
    "RSA 2048": {"scheme": "signature", "header": "X-Sig", "algorithm": "rsa-sha256"},
    "JWT HS256, whole body": {"scheme": "jwt", "algorithm": "HS256", "require": []},
}


def verify_costs(times: int = 2000) -> dict[str, float]:
    """Give microseconds of CPU for one `verify`, by kind of proof: the best of a few rounds of `times`."""
    return {name: min(_measure(dict(options), times) for _ in range(ROUNDS)) for name, options in SCHEMES.items()}


def _measure(options: dict[str, Any], times: int) -> float:
    verifier = _make(options)
    body = b'{"id":"evt_1","type":"order.paid","pad":"' + b"x" * 960 + b'"}'
    signed = verifier.sign(Request("POST", "/hooks/x", "", ((b"host", b"x"),), body, "192.0.2.1", NOW))
    began = time.process_time()
    for _ in range(times):
        verifier.verify(signed)
    return 1e6 * (time.process_time() - began) / times


def _make(options: dict[str, Any]) -> Verifier:
    secret = made_up_secret(options)
    kind = load_kinds("verifiers", {options["scheme"]})[options.pop("scheme")]
    verifier: Verifier = kind.build(kind.options(**options), secret)
    return verifier


if __name__ == "__main__":
    for name, cost in verify_costs().items():
        print(f"{name:24} {cost:6.1f} µs")
