"""The table `auth` of an `http` target: who we are to the endpoint, by secrets that stand elsewhere."""

import re
from base64 import b64encode
from typing import Final

from pydantic import Field, model_validator

from gateway.plugin import Options, SecretText
from gateway.targets.http_oauth import OAuth2Table
from gateway.targets.http_values import secret_text

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_USER: Final = re.compile(r"[^:\x00-\x1f\x7f]+")
_PASSWORD: Final = re.compile(r"[^\x00-\x1f\x7f]+")


class AuthTable(Options):
    """Who we are to the endpoint: either `bearer`, or `user` and `password`, or `oauth2`."""

    bearer: SecretText | None = None
    """Where the token is; sent as `Authorization: Bearer …` (RFC 6750)."""
    user: str | None = Field(default=None, min_length=1, max_length=255)
    """The user; sent with the password as `Authorization: Basic …` (RFC 7617, UTF-8)."""
    password: SecretText | None = None
    """Where the password is."""
    oauth2: OAuth2Table | None = None
    """Where to get a token, and by what."""

    @model_validator(mode="after")
    def _together(self) -> "AuthTable":
        ways = [way for way in (self.bearer, self.user, self.oauth2) if way is not None]
        if len(ways) != 1 or (self.user is None) != (self.password is None):
            raise ValueError("expected either bearer, or user and password, or oauth2")
        if self.user is not None and not _USER.fullmatch(self.user):
            raise ValueError("user holds a colon or a control character, which Basic cannot carry")
        secret, form = (self.bearer, _TOKEN) if self.bearer else (self.password, _PASSWORD)
        if secret is not None and secret.is_read and not form.fullmatch(secret.reveal()):
            raise ValueError("the secret holds a space, a line end or another character that cannot be sent")
        return self

    def header(self) -> str:
        """Give the value of `Authorization`; empty if it changes with the token."""
        if self.oauth2 is not None:
            return ""
        if self.bearer is not None:
            return f"Bearer {secret_text(self.bearer)}"
        return f"Basic {b64encode(f'{self.user}:{secret_text(self.password)}'.encode()).decode()}"
