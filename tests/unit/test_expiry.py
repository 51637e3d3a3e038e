"""What ends on a known day: found wherever a configuration says so, whoever uses it, and told without a value."""

from datetime import UTC, datetime, timedelta

import pytest
import trio
import trustme

from gateway.announce import Announcer
from gateway.blueprint import build
from gateway.config.load import load
from gateway.errors import ConfigError
from gateway.expiry import find_ends
from gateway.metrics import Counters
from gateway.runtime import Runtime
from gateway.watch import Watch

CONFIG = """
[sources.acme]
provider = "generic"
verify = {{ scheme = "token", header = "X-Token" }}
identify = {{ type = "body.type" }}
credentials.main = {{ secret = {{ file = "acme", expires = {day} }} }}

[routes.identity]
provider = "truora"
verify = {{ secret = {{ file = "truora", expires = "{day}" }} }}
targets = ["crm"]

[smtp]
host = "127.0.0.1"
tls = "none"
from = "a@b.example"
user = "hookgate"
password = {{ file = "smtp", expires = {day} }}

[targets.crm]
type = "http"
url = "https://crm.example/"
headers = {{ Authorization = {{ file = "crm", expires = {day} }} }}
tls = {{ cert = "{folder}/client.pem", key = "{folder}/client.pem" }}
retry = {{ expires = "10m" }}

[targets.mail]
type = "email"
to = ["ops@acme.example"]
{more}
"""


def configured(folder, day="2027-01-31", more=""):
    secrets = folder / "secrets"
    secrets.mkdir(mode=0o700, exist_ok=True)
    for name in ("acme", "truora", "crm", "smtp"):
        (secrets / name).write_text(f"canary-{name}-0123456789abcdef0123456789")
        (secrets / name).chmod(0o600)
    file = folder / "config.toml"
    file.write_text(CONFIG.format(day=day, folder=folder, more=more))
    return build(load(file, {"STATE_DIRECTORY": str(folder)}))


@pytest.fixture
def folder(tmp_path):
    ends = datetime.now(UTC) + timedelta(days=10, hours=1)
    trustme.CA().issue_cert("client.example", not_after=ends).private_key_and_cert_chain_pem.write_to_path(
        tmp_path / "client.pem"
    )
    return tmp_path


def test_a_day_is_found_wherever_a_secret_is_referred_to(folder):
    ends = [end for end in find_ends(configured(folder)) if end.kind == "secret.expiring"]
    assert {(end.name, end.used_by) for end in ends} == {
        ("file acme", "sources.acme.credentials.main.secret"),
        ("file truora", "routes.identity.verify.secret"),
        ("file smtp", "smtp.password"),
        ("file crm", "targets.crm.headers.Authorization"),
    }
    assert {end.at for end in ends} == {int(datetime(2027, 1, 31, tzinfo=UTC).timestamp() * 1000)}


def test_what_only_looks_like_a_reference_with_a_day_is_none(folder):
    shell = '[targets.run]\ntype = "shell"\ntimeout = "5s"\ncommand = ["/bin/true"]\n'
    blueprint = configured(folder, more=shell + 'environment = { env = "prod", expires = "never" }')
    assert not [end for end in find_ends(blueprint) if end.used_by.startswith("targets.run")]


def test_the_certificates_of_listener_and_targets_are_read(folder):
    tls = f'[server]\ntls = {{ cert = "{folder}/client.pem", key = "{folder}/client.pem" }}'
    ends = [end for end in find_ends(configured(folder, more=tls)) if end.kind == "certificate.expiring"]
    assert [end.used_by for end in ends] == ["server.tls", "targets.crm.tls"]
    assert {end.name for end in ends} == {f"{folder}/client.pem"}


def test_a_file_that_is_gone_or_holds_something_else_is_left_to_the_next_reload(folder):
    blueprint = configured(folder)
    (folder / "client.pem").write_text("no certificate")
    assert [end for end in find_ends(blueprint) if end.kind == "certificate.expiring"] == []
    (folder / "client.pem").unlink()
    assert [end for end in find_ends(blueprint) if end.kind == "certificate.expiring"] == []


@pytest.mark.parametrize("day", ['"soon"', '"20270131"', "2027-01-31T10:00:00Z", "7"])
def test_a_day_that_is_none_is_an_error_that_shows_how_to_write_one(folder, day):
    configured(folder)
    file = folder / "config.toml"
    good = 'file = "acme", expires = 2027-01-31'
    file.write_text(file.read_text().replace(good, good.replace("2027-01-31", day)))
    with pytest.raises(ConfigError) as caught:
        build(load(file, {"STATE_DIRECTORY": str(folder)}))
    assert "[sources.acme].credentials.main.secret.expires" in str(caught.value)


async def test_what_ends_soon_is_told_with_its_day_and_what_ends_later_is_not(folder):
    soon = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
    blueprint = configured(folder, soon)
    announcer = Announcer(Runtime())
    await Watch(lambda: blueprint, Counters(), announcer, Runtime()).look_at_days()
    told = {(telling.kind, telling.data["used_by"]): telling.data for telling in announcer._queue}
    assert told["secret.expiring", "smtp.password"] == {
        "secret": "file smtp",
        "used_by": "smtp.password",
        "expires": soon,
        "days": 2,
    }
    assert told["certificate.expiring", "targets.crm.tls"]["days"] == 10
    assert "canary" not in repr(announcer._queue)
    later = Announcer(Runtime())
    far = configured(folder, "2099-01-31")
    with trio.fail_after(30):
        await Watch(lambda: far, Counters(), later, Runtime()).look_at_days()
    assert [telling.kind for telling in later._queue] == ["certificate.expiring"]
