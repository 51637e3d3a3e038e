"""What `hookgate plugins new` writes: a small installable project for each kind of plugin, whole and tested.

Placeholders are `NAME` (as the operator writes it), `MODULE` (as Python imports it) and `Class` (the options' name).
"""

from collections.abc import Iterator
from pathlib import PurePath
from typing import Final, NamedTuple


class Form(NamedTuple):
    """What differs from kind to kind."""

    group: str
    attribute: str
    """What the entry point names in the module."""
    code: str
    test: str
    usage: str


_TARGET: Final = Form(
    "targets",
    "deliver",
    '''"""Target kind `NAME`."""

from gateway.plugin import Delivered, Message, Options, Outcome, target


class ClassOptions(Options):
    """The options of a target of type `NAME`."""

    prefix: str = ""
    """Text before each line."""


@target(ClassOptions, timeout="10s", concurrency=4)
def deliver(message: Message, options: ClassOptions) -> Outcome:
    """Deliver one event; what is raised here is a failed try, what is printed is a line of the gateway's log."""
    print(f"{options.prefix}{message.type} {message.id}")
    return Delivered()
''',
    """from MODULE import ClassOptions, deliver

from gateway.plugin import Context, Delivered, Runtime
from gateway.testing import check_target, sample_message


async def test_an_event_is_delivered(capsys):
    target = deliver.build(ClassOptions(prefix="> "))
    await target.open(Context("NAME", Runtime(), 1))
    assert await target.deliver(sample_message()) == Delivered()
    assert capsys.readouterr().out.startswith("> order.completed evt_")


async def test_it_keeps_the_contract_of_targets():
    await check_target(deliver, {}, Context("NAME", Runtime(), 4))
""",
    """[targets.mine]
type = "NAME"
prefix = "> "
""",
)

_VERIFIER: Final = Form(
    "verifiers",
    "Class",
    '''"""Verification scheme `NAME`: a header with the HMAC-SHA256 of the body, in hexadecimal."""

import hashlib
import hmac

from gateway.plugin import Options, Proof, Request, VerificationError, verifier


class ClassOptions(Options):
    """The options of scheme `NAME`."""

    header: str = "x-signature"
    """The header with the signature."""


@verifier(ClassOptions)
class Class:
    """One credential: its options and its secret."""

    def __init__(self, options: ClassOptions, secret: bytes) -> None:
        """Keep the secret. Raises ValueError for one that is too short, without quoting it."""
        if len(secret) < 16:
            raise ValueError("expected a secret of at least 16 bytes")
        self._name = options.header.lower().encode()
        self._secret = secret

    def verify(self, request: Request) -> Proof:
        """Prove that the request is genuine. Raises VerificationError."""
        found = [value for name, value in request.headers if name == self._name]
        if len(found) != 1 or not hmac.compare_digest(found[0], self._mac(request)):
            raise VerificationError("signature", "not one signature, or another one")
        return Proof()

    def sign(self, request: Request) -> Request:
        """Give `request` as the provider would send it."""
        return request._replace(headers=(*request.headers, (self._name, self._mac(request))))

    def _mac(self, request: Request) -> bytes:
        return hmac.new(self._secret, request.body, hashlib.sha256).hexdigest().encode()
''',
    """from MODULE import Class

from gateway.plugin import Request
from gateway.testing import check_verifier


def test_it_keeps_the_contract_of_verifiers():
    request = Request("POST", "/hooks/mine", "", (), b'{"event": "test"}', "192.0.2.1", 1_700_000_000_000)
    check_verifier(Class, {}, b"a-secret-of-some-length", request, other_secret=b"another-secret-of-length")
""",
    """[sources.mine]
provider = "generic"
verify = { scheme = "NAME", header = "X-Signature" }
identify = { type = "body.event", id = "body.id" }
credentials.main = { secret = { file = "mine" } }
""",
)

_TRANSFORM: Final = Form(
    "transforms",
    "convert",
    '''"""Transform `NAME`: writes the content that a target gets."""

import json

from gateway.plugin import Message, Options, transform


class ClassOptions(Options):
    """The options of transform `NAME`."""

    field: str = "data"
    """The name under which the payload stands."""


@transform(ClassOptions)
def convert(message: Message, options: ClassOptions) -> tuple[bytes, str]:
    """Give content and content type; what is raised here is a failed try."""
    return json.dumps({"type": message.type, options.field: message.data}).encode(), "application/json"
''',
    """import json

from MODULE import ClassOptions, convert

from gateway.testing import check_transform, sample_message


def test_the_payload_stands_under_its_field():
    content, _ = convert.apply(sample_message(), ClassOptions(field="body"))
    assert json.loads(content)["body"]["state"] == "completed"


async def test_it_keeps_the_contract_of_transforms():
    await check_transform(convert, {})
""",
    """[targets.mine]
type = "http"
url = "http://127.0.0.1:9000/hooks"
send = { transform = "NAME", field = "body" }
""",
)

FORMS: Final = {"target": _TARGET, "verifier": _VERIFIER, "transform": _TRANSFORM}

_PROJECT: Final = """[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "hookgate-NAME"
version = "0.1.0"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["hookgate>=0.1"]

[project.entry-points."hookgate.GROUP"]
NAME = "MODULE:ATTRIBUTE"

[tool.hatch.build.targets.wheel]
only-include = ["MODULE.py"]

[tool.pytest.ini_options]
trio_mode = true
"""

_README: Final = """# hookgate-NAME

A KIND for Hookgate.

```toml
USAGE```

Install it into the gateway's environment (`pip install .`), or copy `MODULE.py` to the plugins folder as `NAME.py`;
then `hookgate reload`. Tests: `python -m pytest tests` (needs pytest and pytest-trio).
"""


def project(kind: str, name: str) -> Iterator[tuple[PurePath, str]]:
    """Give every file of a new project with its path below the project's folder."""
    form = FORMS[kind]
    file = name.replace("-", "_")
    words = {
        "ATTRIBUTE": form.attribute,
        "GROUP": form.group,
        "USAGE": form.usage,
        "KIND": {"verifier": "verification scheme", "target": "target kind"}.get(kind, kind),
        "FILE": file,
        "MODULE": f"hookgate_{file}",
        "Class": "".join(part.capitalize() for part in file.split("_")),
        "NAME": name,
    }
    for path, text in (
        ("pyproject.toml", _PROJECT),
        ("README.md", _README),
        ("MODULE.py", form.code),
        ("tests/test_FILE.py", form.test),
    ):
        yield PurePath(_fill(path, words)), _fill(text, words)


def _fill(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text
