"""A handshake that signs a token for whoever asks, beside a scheme whose signed text could be just such a token.

Then a stranger has the gateway sign his event. Where the body stands in the signed text whole, `refuse_signable` keeps
such bodies out; where something else does that no token holds, none can be signed. All other schemes are refused here.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.blueprint.presets import COMBINED

KEYLESS: Final = frozenset({"token", "basic", "ip", "none", "signature", "sns", "paypal", "plaid", "mtls"})
"""Schemes that no HMAC with the credential's secret proves."""
APART: Final = frozenset({"braintree", "contentful"})
"""Schemes whose signed text always holds a line end, which no token does."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9+/=_.~-]*")
"""What literals of a template must not be, all together: see `core.handshake`."""
_VARIABLE: Final = re.compile(r"\{[^{}]*\}")


def signable(options: Mapping[str, Any]) -> Iterator[str]:
    """Tell which schemes of a `verify` table could take a signed token for the signature of an event."""
    for word in COMBINED:
        for member in options.get(word, ()):
            if isinstance(member, Mapping):
                yield from signable(member)
    scheme = options.get("scheme")
    if (
        scheme is None
        or scheme in KEYLESS | APART
        or (scheme == "jwt" and (options.get("jwks") or options.get("discovery")))
    ):
        return
    template = str(options.get("template", "{body}"))
    if scheme == "hmac" and ("{body}" in template or "{url}" in template):
        return
    if scheme != "hmac" or _TOKEN.fullmatch(_VARIABLE.sub("", template)):
        yield str(scheme)
