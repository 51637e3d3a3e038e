"""Ways to verify that no preset has: presets made for tests, so that every scheme's options are forged, too."""

from gateway.blueprint.presets import BUILT_IN

_URL = '"https://hooks.acme.example/hooks/x"'
OWN = {
    "own_plain_hash": 'scheme = "hmac", header = "X-Sig", plain_hash = true, template = "{secret}{method}{body}"',
    "own_body_hash": 'scheme = "hmac", header = "X-Sig", template = "{timestamp}\\n{url}\\n{header.x-hash}",'
    f' timestamp = "header.x-time", body_hash = "header.x-hash", url = {_URL}',
    "own_query": 'scheme = "hmac", header = "X-Sig", template = "{id}.{timestamp}.{body}", id = "query.id",'
    ' timestamp = "query.at", encoding = "base64url"',
    "own_upper": 'scheme = "hmac", header = "X-Sig", hex_case = "upper"',
    "own_any_case": 'scheme = "hmac", header = "X-Sig", hex_case = "any", prefix = "v1="',
    "own_list": 'scheme = "hmac", header = "X-Sig", shape = "list", separator = ",", algorithm = "sha512"',
    "own_rsa_text": 'scheme = "signature", algorithm = "rsa-sha256", header = "X-Sig", encoding = "base64url",'
    ' template = "{method}.{timestamp}.{body}", timestamp = "header.x-time", timestamp_unit = "iso8601"',
    "own_es256": 'scheme = "jwt", algorithm = "ES256", header = "X-Jwt", body_hash = "hash", issuer = "acme"',
    "own_eddsa": 'scheme = "jwt", algorithm = "EdDSA", require = ["iat"], max_age = "5m"',
    "own_hs512": 'scheme = "jwt", algorithm = "HS512", header = "Authorization", prefix = "Bearer ",'
    ' unsigned_body = true, min_secret_bytes = 32, audience = "hooks"',
    "own_both": 'all_of = [{ scheme = "basic", user = "acme" }, { scheme = "hmac", header = "X-Sig" }]',
    "own_address_and_token": 'all_of = [{ scheme = "ip", ranges = ["203.0.113.0/24"] }, { scheme = "token",'
    ' query = "key" }]',
    "own_either": 'any_of = [{ scheme = "token", body = "key" }, { scheme = "hmac", header = "X-Sig" }]',
}


def preset_of(name: str) -> str:
    """Give the text of a preset for `name`: the generic one, verified as `OWN` says."""
    lines = (BUILT_IN / "generic.toml").read_text().splitlines()
    return "\n".join(f"verify = {{ {OWN[name]} }}" if line.startswith("verify = ") else line for line in lines)
