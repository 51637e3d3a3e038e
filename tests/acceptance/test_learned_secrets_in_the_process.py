"""A running daemon learns a provider's secret: let by the command, kept over kill -9, restart, reload and rename."""

import hashlib
import hmac
import json

from harness.daemon import running
from harness.senders import Signed, post
from harness.settings import Settings

SECRET = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"
SOURCE = """
[sources.{name}]
provider = "asana"
path = "/hooks/asana"
credentials.main = {{ learned = true }}
{formerly}
[routes.asana]
source = "{name}"
targets = ["audit"]
"""
SAYS = Signed("says", "/hooks/asana", (("X-Hook-Secret", SECRET),), b"")


def event(gid):
    change = {
        "action": "changed",
        "resource": {"gid": gid, "resource_type": "task"},
        "created_at": "2031-01-01T00:00:00Z",
    }
    body = json.dumps({"events": [change]}).encode()
    signature = hmac.digest(SECRET.encode(), body, hashlib.sha256).hex()
    return Signed(gid, "/hooks/asana", (("Content-Type", "application/json"), ("X-Hook-Signature", signature)), body)


def write(home, name="asana", formerly=""):
    Settings(home, more=SOURCE.format(name=name, formerly=formerly)).write()


async def learning(daemon, source="asana"):
    found = (await daemon.cli("sources", "list"))["sources"]
    (credential,) = next(each for each in found if each["name"] == source)["credentials"]
    return credential["learning"]


async def test_what_a_provider_says_at_setup_is_learned_by_command_and_outlives_kill_rename_and_reload(home):
    write(home)
    async with running(home) as daemon:
        assert (await post(daemon.port, SAYS)).status == 403
        assert (await post(daemon.port, event("1"))).status == 503
        assert not (await learning(daemon))["known"]
        assert (await daemon.cli("sources", "list"))["next"].startswith("hookgate sources learn asana")
        opened = await daemon.cli("sources", "learn", "asana", "--for", "5m")
        assert opened["learning"]["open_seconds"] == 300
        assert (await daemon.cli("sources", "list"))["next"].startswith("hookgate status"), "it learns already"
        answer = await post(daemon.port, SAYS)
        assert (answer.status, answer.headers["x-hook-secret"]) == (200, SECRET)
        (told,) = await daemon.wait_logged("secret.learned")
        assert (told["source"], told["credential"], told["client"]) == ("asana", "main", "127.0.0.1")
        await daemon.kill()
    async with running(home) as daemon:
        assert (await learning(daemon))["known"]
        assert (await post(daemon.port, event("1"))).status == 200
        assert (await daemon.cli("sources", "secret", "asana"))["secret"] == SECRET
        assert (await post(daemon.port, SAYS._replace(headers=(("X-Hook-Secret", "f" * 64),)))).status == 403
        write(home, "tasks", 'formerly = "asana"')
        await daemon.reload()
        assert (await learning(daemon, "tasks"))["known"]
        assert (await post(daemon.port, event("2"))).status == 200
        assert {file.name for file in (home.state / "learned").iterdir()} == {"tasks.main"}
        write(home, "tasks")
        await daemon.reload()
        assert (await post(daemon.port, event("3"))).status == 200
        await daemon.wait_settled()
        assert await daemon.stop() == 0
        assert SECRET not in home.stderr.read_text()
