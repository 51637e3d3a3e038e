"""What all proofs by a provider's own package share: the package and our receiver must take and refuse the same."""

import json

from gateway.blueprint.presets import BUILT_IN
from gateway.cli.made_up import made_up_secret
from gateway.cli.trial import merged_verify, read
from gateway.core.document import is_form


def fresh_secret(name):
    return made_up_secret(merged_verify(read(BUILT_IN / f"{name}.toml")))


def headers_of(request):
    return {name.decode(): value.decode() for name, value in request.headers}


def takes(verify, secret, request):
    """Ask a package: `verify` gets secret, headers (names in lower case) and body, and raises to refuse."""
    try:
        verify(secret.decode(), headers_of(request), request.body)
    except Exception:  # noqa: BLE001 - whatever a package raises is a refusal
        return False
    return True


def compact(request):
    """Write a JSON body as JavaScript would, for packages that parse it and write it anew."""
    if is_form(request.header(b"content-type")):
        return request
    return request._replace(body=json.dumps(json.loads(request.body), separators=(",", ":")).encode())


def with_one_field_more(body):
    return body.replace(b"{", b'{"x":1,', 1) if b"{" in body else body + b"&x=1"


def signed_at(door, sample, at):
    plan = door.plan(sample)
    return plan.signed(compact(plan.request(1, at, ())))


async def check_agreement(open_door, name, verify, secret=None, ahead_seconds=0):
    """Sign each sample as our presets do; the package must take it, and refuse what we refuse."""
    secret, other = secret or fresh_secret(name), fresh_secret(name)
    async with open_door(name, secret) as door:
        for sample in door.preset.samples:
            # Whole seconds: some packages know no fractions, and no clock that is ahead of theirs.
            signed = signed_at(door, sample, (door.runtime.now_ms() // 1000 + ahead_seconds) * 1000)
            unsigned = compact(door.plan(sample).request(1, signed.received_at, ()))
            changed = signed._replace(body=with_one_field_more(signed.body))
            assert takes(verify, secret, signed)
            assert await door.post(signed) == door.source.ack_status
            assert not takes(verify, other, signed)
            for wrong in (changed, unsigned):
                assert not takes(verify, secret, wrong)
                assert await door.post(wrong) == 401


async def check_signed(open_door, name, sign):
    """What a package signs we take; over another body, or by another secret, we refuse it.

    `sign` gets secret, body and milliseconds since 1970, and gives the headers of the signature.
    """
    secret = fresh_secret(name)
    async with open_door(name, secret) as door:
        for sample in door.preset.samples:
            now = door.runtime.now_ms()
            unsigned = compact(door.plan(sample).request(1, now, ()))
            for key, right in ((secret, True), (fresh_secret(name), False)):
                headers = sign(key.decode(), unsigned.body, now).items()
                pairs = tuple((header.encode(), value.encode()) for header, value in headers)
                signed = unsigned._replace(headers=unsigned.headers + pairs)
                assert await door.post(signed._replace(body=b" " + signed.body)) == 401
                assert await door.post(signed) == (door.source.ack_status if right else 401)


async def check_age(open_door, name, verify, seconds):
    """What is half a minute younger than `seconds` both take, what is half a minute older both refuse."""
    secret = fresh_secret(name)
    async with open_door(name, secret) as door:
        now = door.runtime.now_ms() // 1000 * 1000
        for age, right in ((seconds - 30, True), (seconds + 30, False)):
            signed = signed_at(door, door.preset.samples[0], now - age * 1000)
            assert takes(verify, secret, signed) is right
            assert (await door.post(signed._replace(received_at=now)) == door.source.ack_status) is right
