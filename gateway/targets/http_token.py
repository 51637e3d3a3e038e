"""The token that an `http` target's requests carry: asked for, kept until shortly before its end, renewed.

One request for a token at a time, whoever needs it. While the token endpoint fails, it is asked again only after a
growing pause, and every delivery meanwhile says so at once: the target is down, its deliveries cost no attempt.
"""

import re
from typing import Final

import trio

from gateway.plugin import HttpClient, HttpReply, RequestError, Runtime, WireError, parse_document, parse_url
from gateway.targets.http_oauth import OAuth2Table

TOKEN_SECONDS_MAX: Final = 10.0
"""For one request for a token; a third of the target's timeout, if that is less."""
MARGIN_SECONDS: Final = 30.0
"""A token is not used for the last half minute of its life, or the last tenth if that is less."""
LIFETIME_SECONDS: Final = 300.0
"""Of a token whose reply does not tell."""
LIFETIME_SECONDS_MAX: Final = 86_400.0
PAUSE_FIRST_SECONDS: Final = 5.0
PAUSE_SECONDS_MAX: Final = 300.0

_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,16384}")
_CODE: Final = re.compile(r"[a-z_]{1,40}")
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


class TokenError(WireError):
    """There is no token to send with: the token endpoint's trouble, or its settings'; the text names both ends."""

    reason = "token"

    def __init__(self, text: str, after: float) -> None:
        super().__init__(text)
        self.after = after
        """Seconds until the token endpoint is asked again."""


class TokenSource:
    """The token of one target."""

    def __init__(self, table: OAuth2Table, client: HttpClient, runtime: Runtime, timeout_seconds: float) -> None:
        self._table = table
        self._client = client
        self._runtime = runtime
        self._seconds = min(TOKEN_SECONDS_MAX, timeout_seconds / 3)
        self._place = parse_url(table.token_url).place
        self._asking = trio.Lock()
        self._token = ""
        self._good_until = 0.0
        self._failures = 0
        self._closed_until = 0.0
        self._why = ""

    async def token(self) -> str:
        """Give a token that is good for a while; asks for one if there is none. Raises TokenError."""
        if not self._is_good():
            async with self._asking:
                if not self._is_good():
                    await self._renew()
        return self._token

    def spoil(self, token: str) -> None:
        """The endpoint took `token` for none: it is not used again."""
        if token == self._token:
            self._good_until = 0.0

    def close(self) -> None:
        """Close the connection to the token endpoint."""
        self._client.close()

    def _is_good(self) -> bool:
        return self._runtime.monotonic() < self._good_until

    async def _renew(self) -> None:
        now = self._runtime.monotonic()
        if now < self._closed_until:
            raise TokenError(self._why, self._closed_until - now)
        try:
            token, lifetime = await self._ask()
        except ValueError as error:
            self._fail(str(error))
            raise TokenError(self._why, self._closed_until - now) from None
        self._token = token
        self._failures = 0
        self._good_until = now + lifetime - min(MARGIN_SECONDS, lifetime / 10)

    def _fail(self, why: str) -> None:
        pause = min(PAUSE_FIRST_SECONDS * 2**self._failures, PAUSE_SECONDS_MAX)
        self._failures = min(self._failures + 1, 20)
        self._closed_until = self._runtime.monotonic() + pause
        self._why = f"{self._place} gave no token: {why}"

    async def _ask(self) -> tuple[str, float]:
        """Give a new token and its lifetime in seconds. Raises ValueError that tells why not, WireError if it is we."""
        headers, body = self._table.request()
        try:
            with trio.fail_after(self._seconds):
                reply = await self._client.request("POST", None, headers, body)
        except WireError as error:
            if error.reason == "exhausted":  # our own trouble: it says nothing of the token endpoint
                raise
            raise ValueError(f"{error.reason}: {error}") from None
        except trio.TooSlowError:
            raise ValueError(f"no answer within {self._seconds:g} s") from None
        return _read_token(reply)


def _read_token(reply: HttpReply) -> tuple[str, float]:
    """Read a reply of the token endpoint (RFC 6749, 5). Raises ValueError that quotes nothing but an error's code."""
    found = _read_object(reply)
    if not 200 <= reply.status < 300:
        code = found.get("error")
        told = f" {code}" if isinstance(code, str) and _CODE.fullmatch(code) else ""
        raise ValueError(f"HTTP {reply.status}{told}{_ADVICE.get(reply.status, '')}")
    token, kind = found.get("access_token"), found.get("token_type")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise ValueError("its reply has no access_token that could be sent")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise ValueError("the token_type of its reply is not Bearer")
    return token, _lifetime(found.get("expires_in"))


def _read_object(reply: HttpReply) -> dict[str, object]:
    try:
        found = {} if reply.truncated else parse_document(reply.body)
    except RequestError:
        found = {}
    return found if isinstance(found, dict) else {}


def _lifetime(told: object) -> float:
    if isinstance(told, str) and _SECONDS.fullmatch(told):
        told = int(told)
    if isinstance(told, bool) or not isinstance(told, int | float) or not told > 0:
        return LIFETIME_SECONDS
    return min(float(told), LIFETIME_SECONDS_MAX)


_ADVICE: Final = {
    400: ": check scopes, audience and client_auth",
    401: ": check client_id and client_secret, and client_auth",
    403: ": the client may not have such a token",
    404: ": check token_url",
}
