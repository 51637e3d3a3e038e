"""Who may ask: decides from a request's headers and its peer, before any route runs.

On a unix socket its permissions are the authentication. On loopback TCP each request needs the bearer token, a Host
that names this machine (a page that rebinds its own name to 127.0.0.1 sends its own), and no foreign Origin. What a
refused caller learns is the status and how to ask properly.
"""

import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Final, NamedTuple

GUESSES_MAX: Final = 10
"""Wrong tokens of one peer in one window; then it gets 429 until the window is over."""
WINDOW_SECONDS: Final = 60.0
PEERS_MAX: Final = 256


class Denied(NamedTuple):
    """The answer to a request that is not allowed."""

    status: int
    error: str
    next: str


class Keeper:
    """Remembers wrong guesses; one per listener. `monotonic` gives seconds."""

    def __init__(self, token: bytes | None, monotonic: Callable[[], float]) -> None:
        self._token = token
        self._monotonic = monotonic
        self._guesses: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def refusal(self, peer: str | None, method: str, headers: Mapping[str, str]) -> Denied | None:
        """Give the refusal of this request, or None if it may go on; `peer` is None on a unix socket.

        `headers` has names in lower case; of a header sent twice it holds both values joined, which fits nothing.
        """
        foreign = _is_foreign(peer, headers)
        if foreign:
            return Denied(403, foreign, "use the hookgate command, or curl, on this machine")
        if peer is not None and (denied := self._check_token(peer, headers.get("authorization", ""))):
            return denied
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if method not in {"GET", "HEAD"} and kind != "application/json":
            return Denied(
                403,
                "a change needs Content-Type: application/json",
                "send a JSON object, {} if there is nothing to say",
            )
        return None

    def _check_token(self, peer: str, sent: str) -> Denied | None:
        now = self._monotonic()
        since, wrong = self._guesses.get(peer, (now, 0))
        if now - since > WINDOW_SECONDS:
            since, wrong = now, 0
        if wrong >= GUESSES_MAX:
            return Denied(
                429, "too many wrong tokens", f"wait {WINDOW_SECONDS - (now - since):.0f} s, or use the unix socket"
            )
        expected = b"Bearer " + (self._token or b"")
        if self._token and hmac.compare_digest(expected, sent.encode("latin-1")):
            return None
        self._remember(peer, since, wrong + 1)
        return Denied(
            401, "a bearer token is needed on TCP", "send Authorization: Bearer <the secret of [admin] token>"
        )

    def _remember(self, peer: str, since: float, wrong: int) -> None:
        self._guesses[peer] = (since, wrong)
        self._guesses.move_to_end(peer)
        if len(self._guesses) > PEERS_MAX:
            self._guesses.popitem(last=False)


def _is_foreign(peer: str | None, headers: Mapping[str, str]) -> str:
    """Say what shows that a page in a browser, not an operator, is asking; empty if nothing does."""
    host = headers.get("host", "")
    if peer is not None and not _names_this_machine(host):
        return "the Host header does not name this machine"
    origin = headers.get("origin")
    if origin is not None and (peer is None or origin != f"http://{host}"):
        return "requests of other origins are not taken"
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return "requests of other sites are not taken"
    return ""


def _names_this_machine(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    if name == "localhost":
        return True
    try:
        return ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False
