"""A configuration with a canary in every option that holds a secret, and a search for them in all that a daemon shows.

Where each option stands is said in the words of the configuration's schema; a test holds that list to the schema, so
that an option for a secret that is added one day is missed here at once.
"""

import base64
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import trustme

from harness.home import Home

SCHEMA = Path(__file__).parents[2] / "docs" / "config.schema.json"
REFERENCE = {"$ref": "#/$defs/SecretReference"}
API = """
[{table}.headers]
X-Api-Key = {headers}
[{table}.auth]
{auth}
[{table}.proxy]
url = "{url}"
user = "proxy-user"
password = {proxy}
"""
"""What http targets, fetches and pollers have alike."""
AUTHS = {
    "bearer": "bearer = {auth}",
    "password": 'user = "api-user"\npassword = {auth}',
    "oauth2": 'oauth2 = {{ token_url = "{url}/token", client_id = "api-client", client_secret = {auth} }}',
}
"""Each way to prove who asks."""


def options() -> set[str]:
    """Give every place of the schema that takes a reference to a secret, as a path within it."""
    return {"/".join(path) for path in _places(json.loads(SCHEMA.read_text()), ())}


def _places(node: object, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(node, dict):
        if node.get("$ref") == REFERENCE["$ref"]:
            yield tuple(part for part in path if part not in {"$defs", "properties", "oneOf", "anyOf"})
        for name, below in node.items():
            yield from _places(below, (*path, name))
    elif isinstance(node, list):
        for below in node:
            yield from _places(below, path)


class Canaries:
    """The secrets of one home, each with a canary of its own. What is asked for them stands at `url`."""

    def __init__(self, home: Home, url: str) -> None:
        self.home, self.url = home, url
        self.values: dict[str, str] = {}
        """Canary by option and use."""
        self.covered: set[str] = set()
        """The options, as `options` names them."""

    def secret(self, option: str, use: str = "") -> str:
        """Make a canary for an option; give the reference to write."""
        value = f"canary-{len(self.values)}-{secrets.token_urlsafe(24)}"
        return self._keep(option, use, value, value)

    def _keep(self, option: str, use: str, value: str, text: str) -> str:
        self.covered.add(option)
        self.values[f"{option} {use}".strip()] = value
        name = f"canary-{len(self.values)}"
        self.home.write_secret(name, text)
        return f'{{ file = "{name}" }}'

    def pem(self, option: str, text: str, use: str) -> str:
        """Have PEM text for a secret; its canary is a line from its middle."""
        lines = text.splitlines()
        return self._keep(option, use, lines[len(lines) // 2], text.rstrip())

    def api(self, table: str, kind: str, way: str) -> str:
        """Write the tables below `table` of one that asks an API; `kind` is how the schema calls it."""
        option = f"{kind.lower()}.OAuth2Table/client_secret" if way == "oauth2" else f"{kind.lower()}.AuthTable/{way}"
        named = "Target" if kind == "Http" else kind
        return API.format(
            table=table,
            url=self.url,
            auth=AUTHS[way].format(url=self.url, auth=self.secret(option, table)),
            headers=self.secret(f"{named}/headers/additionalProperties", table),
            proxy=self.secret(f"{kind.lower()}.ProxyTable/password", table),
        )

    def client_tls(self, kind: str) -> str:
        """Write the table of a client's certificate, by reference."""
        leaf = trustme.CA().issue_cert("hookgate.example")
        chain, key = leaf.cert_chain_pems[0].bytes().decode(), leaf.private_key_pem.bytes().decode()
        cert = self.pem(f"{kind}.TlsTable/cert", chain, kind)
        return f"tls = {{ cert = {cert}, key = {self.pem(f'{kind}.TlsTable/key', key, kind)} }}"

    def found_in(self, text: bytes) -> list[str]:
        """Name the canaries that stand in some bytes, as they are or as HTTP and URLs write them."""
        return sorted(name for name, value in self.values.items() if any(form in text for form in _forms(value)))


def _forms(value: str) -> set[bytes]:
    users = ("", ":", "api-user:", "proxy-user:", "api-client:", "hookgate:")
    encoded = {base64.b64encode(f"{user}{value}".encode()).rstrip(b"=") for user in users}
    return {value.encode(), quote(value, safe="").encode(), value.encode().hex().encode(), *encoded}
