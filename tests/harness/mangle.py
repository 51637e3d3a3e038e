"""Ways to change a header's value or a body, one function each: bytes, a place in them, seeded chance; gives others."""

import gzip
import json
import random
from collections.abc import Callable
from typing import Any, TypeAlias
from urllib.parse import quote

Change: TypeAlias = Callable[[bytes, int, random.Random], bytes]

ODD = (b" ", b"\t", b",", b"=", b".", b"%", b'"', b"'", b";", b"\xff", b"\xc3\xa9", b"+", b"-", b"_", b"/", b"\\")
_PREFIXES = (b"sha1=", b"sha256=", b"SHA256=", b"v1,", b"v1=", b"v0=", b"v2,", b"Bearer ", b"bearer ", b"Basic ", b" ")
_VALUES = ("", "x", 0, -1, 1e30, None, True, [], {}, "\u0661", "a" * 300)


def printable(value: bytes, at: int, seeded: random.Random) -> bytes:
    """Put another printable character in the place of one."""
    return value[:at] + bytes([seeded.randrange(33, 127)]) + value[at + 1 :]


def swapped(value: bytes, at: int, _seeded: random.Random) -> bytes:
    """Change the case of one letter."""
    return value[:at] + value[at : at + 1].swapcase() + value[at + 1 :]


def cut(value: bytes, at: int, _seeded: random.Random) -> bytes:
    """Leave the end out."""
    return value[:at]


def flipped(value: bytes, at: int, seeded: random.Random) -> bytes:
    """Flip one bit."""
    return value[:at] + bytes(byte ^ 1 << seeded.randrange(8) for byte in value[at : at + 1]) + value[at + 1 :]


def rewritten(body: bytes, _at: int, seeded: random.Random) -> bytes:
    """Write a JSON body anew, with one of its values changed perhaps."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    places = list(_places(document))
    if places and seeded.random() < 0.8:
        holder, key = seeded.choice(places)
        if isinstance(holder, list) and seeded.random() < 0.5:
            holder.append(holder[0])
        else:
            holder[key] = seeded.choice(_VALUES)
    return json.dumps(document, separators=seeded.choice(((",", ":"), (", ", ": ")))).encode()


def _places(document: Any) -> Any:
    level = [document]
    while level:
        one = level.pop()
        if isinstance(one, dict | list):
            yield from ((one, key) for key in (list(one) if isinstance(one, dict) else range(len(one))))
            level += one.values() if isinstance(one, dict) else one


TEXT: tuple[Change, ...] = (
    *[printable] * 3,
    *[swapped] * 2,
    cut,
    lambda _value, _at, _seeded: b"",
    lambda value, at, _seeded: value[at:],
    lambda value, _at, _seeded: value.swapcase(),
    lambda value, _at, _seeded: value.upper(),
    lambda value, at, seeded: value[:at] + seeded.choice(ODD) + value[at:],
    lambda value, _at, _seeded: value.rstrip(b"=") if value.endswith(b"=") else value + b"=",
    lambda value, _at, _seeded: value.translate(bytes.maketrans(b"+/-_", b"-_+/")),
    lambda value, _at, _seeded: quote(value).encode(),
    lambda value, _at, seeded: seeded.choice(_PREFIXES) + value,
    lambda value, _at, seeded: value.partition(seeded.choice((b"=", b",", b" ", b".")))[2],
    lambda value, _at, _seeded: value[: value.find(b"=") + 1],
    lambda value, at, _seeded: value + value[at:],
    lambda value, at, seeded: value[:at] + b"%d" % seeded.randrange(10) + value[at + 1 :],
    lambda value, _at, seeded: seeded.choice((value + b"," + value, b"x " + value, value + b" x", b'"%b"' % value)),
)
"""Of a header's value; what comes out can stand in a header."""

BODY: tuple[Change, ...] = (
    *[printable] * 2,
    *[rewritten] * 2,
    flipped,
    swapped,
    cut,
    lambda body, at, seeded: body[:at] + seeded.randbytes(seeded.randint(1, 3)) + body[at:],
    lambda body, at, seeded: body[:at] + body[at + seeded.randint(1, 9) :],
    lambda body, _at, seeded: seeded.choice((b" ", b"\n", b"\r\n", b"\xef\xbb\xbf", b"\0")) + body,
    lambda body, _at, seeded: body + seeded.choice((b" ", b"\n", b"\0", b"{}", b"&a=b", body)),
    lambda body, _at, _seeded: body[:1] + b'"x":1,' + body[1:],
    lambda _body, _at, _seeded: b"",
    lambda body, _at, _seeded: gzip.compress(body, 1, mtime=0),
    lambda body, _at, _seeded: body.replace(b"\n", b"\r\n") if b"\n" in body else body.replace(b": ", b":"),
)


def change(value: bytes, ways: tuple[Change, ...], seeded: random.Random) -> bytes:
    """Change `value` in one of `ways`."""
    return seeded.choice(ways)(value, seeded.randrange(len(value) + 1), seeded)
