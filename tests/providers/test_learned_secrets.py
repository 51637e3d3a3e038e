"""Secrets that Asana and Notion say at set-up: learned once, while the operator lets them, and by nobody else."""

import json
import stat

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gateway.blueprint import build
from gateway.config.load import load
from gateway.ingress.learner import rename_learned
from gateway.plugin import Request
from gateway.runtime import Runtime
from gateway.store.memory import open_memory
from gateway.store.settings import StoreSettings

SECRET = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"
STRANGERS = "f" * 64
PROVIDERS = pytest.mark.parametrize("name", ["asana", "notion"])


def said(door, secret=SECRET, **changes):
    """Make the request by which the provider says its secret."""
    headers = ((b"content-type", b"application/json"),)
    body = b"{}"
    if door.source.name == "asana":
        headers = (*headers, (b"x-hook-secret", secret.encode()))
    else:
        body = json.dumps({"verification_token": secret}).encode()
    request = Request("POST", door.source.path, "", headers, body, "192.0.2.9", door.runtime.now_ms())
    return request._replace(**changes)


def event(door):
    """Make an event, signed with the secret that the provider said."""
    return door.plan(door.preset.samples[0]).signed(plain(door))


def plain(door):
    return door.plan(door.preset.samples[0]).request(0, door.runtime.now_ms(), ())


def kept(door):
    folder = door.source.credentials[0].learned.file.parent
    return {file.name: file.read_text() for file in folder.iterdir()} if folder.exists() else {}


def reasons(door):
    return [each.reason for each in door.receiver.refusals.newest(9)]


@PROVIDERS
async def test_a_secret_is_learned_in_the_window_and_events_count_from_then_on(open_door, name):
    async with open_door(name, learned=False) as door:
        assert await door.post(plain(door)) == 503, "nobody can tell whether it is genuine"
        assert reasons(door) == ["secret_not_learned"]
        door.learner.open(name, "main", 60)
        reply = await door.ask(said(door))
        assert reply.status == 200
        echoed = dict(reply.headers).get(b"x-hook-secret")
        assert echoed == (SECRET.encode() if name == "asana" else None)
        assert kept(door) == {f"{name}.main": SECRET}
        file = door.source.credentials[0].learned.file
        assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
        assert await door.post(event(door)) == 200
        assert len(await door.events()) == 1
        found = {"source": name, "credential": "main", "client": "192.0.2.9"}
        assert door.told == [("secret.learned", f"{name}.main", found)]
        assert door.counters.sources[name].learned == 1


@PROVIDERS
async def test_W7_nothing_is_learned_from_a_stranger_before_or_after_the_window(open_door, name):
    async with open_door(name, learned=False) as door:
        assert await door.post(said(door, STRANGERS)) == 403, "nobody has let it"
        assert kept(door) == {}
        door.learner.open(name, "main", 60)
        assert await door.post(said(door)) == 200
        assert await door.post(said(door, STRANGERS)) == 403, "one secret closes the window"
        assert kept(door) == {f"{name}.main": SECRET}
        assert await door.post(event(door)) == 200
        assert reasons(door) == ["handshake_closed"] * 2
        assert SECRET not in repr(door.receiver.refusals.newest(9))
        assert STRANGERS not in repr(door.receiver.refusals.newest(9))


@PROVIDERS
async def test_W7_a_window_that_is_over_believes_nobody(open_door, name):
    async with open_door(name, learned=False) as door:
        door.learner.open(name, "main", 0.0)
        assert await door.post(said(door)) == 403
        assert kept(door) == {}


@PROVIDERS
async def test_a_secret_that_is_known_may_be_said_again_and_a_new_one_replaces_it_once_let_in(open_door, name):
    async with open_door(name, learned=False) as door:
        door.learner.open(name, "main", 60)
        assert await door.post(said(door)) == 200
        assert await door.post(said(door)) == 200, "the answer may have been lost"
        old = event(door)
        door.learner.open(name, "main", 60)
        assert await door.post(said(door)) == 200
        assert await door.post(old) == 200, "the window is open for another, the secret that is known still counts"
        assert await door.post(said(door, "e" * 64)) == 200
        assert kept(door) == {f"{name}.main": "e" * 64}
        assert await door.post(event(door)) == 200
        assert await door.post(old) == 401


@PROVIDERS
async def test_W8_of_two_that_race_for_the_window_one_is_heard(open_door, name):
    async with open_door(name, learned=False) as door:
        door.learner.open(name, "main", 60)
        answers = {}

        async def say(secret):
            answers[secret] = await door.post(said(door, secret))

        async with trio.open_nursery() as nursery:
            for secret in (SECRET, STRANGERS):
                nursery.start_soon(say, secret)
        assert sorted(answers.values()) == [200, 403]
        (heard,) = [secret for secret, status in answers.items() if status == 200]
        assert kept(door) == {f"{name}.main": heard}
        assert door.source.credentials[0].learned.is_secret(heard.encode())


@PROVIDERS
@pytest.mark.parametrize(
    "secret", ["x" * 10_240, "x" * 1025, "", " " * 30, "short", "two\nlines" * 4, "ü" * 30, " blank at the ends of it "]
)
async def test_W9_what_cannot_be_a_secret_is_400_and_the_window_stays_open(open_door, name, secret):
    async with open_door(name, learned=False) as door:
        door.learner.open(name, "main", 60)
        request = said(door, secret)
        assert await door.post(request) == 400
        assert kept(door) == {}
        assert await door.post(said(door)) == 200


async def test_W9_a_header_that_is_sent_twice_says_nothing(open_door):
    async with open_door("asana", learned=False) as door:
        door.learner.open("asana", "main", 60)
        twice = said(door)
        twice = twice._replace(headers=(*twice.headers, (b"x-hook-secret", STRANGERS.encode())))
        assert await door.post(twice) in (400, 401, 503)
        assert kept(door) == {}


@pytest.mark.parametrize("token", [None, 7, True, [SECRET], {"token": SECRET}])
async def test_W9_a_token_that_is_no_text_says_nothing(open_door, token):
    async with open_door("notion", learned=False) as door:
        door.learner.open("notion", "main", 60)
        assert await door.post(said(door, body=json.dumps({"verification_token": token}).encode())) == 400
        assert kept(door) == {}


@PROVIDERS
async def test_what_was_learned_outlives_a_restart_and_no_window_does(open_door, tmp_path, name):
    async with open_door(name, learned=False) as door:
        door.learner.open(name, "main", 60)
        assert await door.post(said(door)) == 200
        door.learner.open(name, "main", 60)
        async with open_memory(Runtime(), StoreSettings()) as store:
            again = type(door)(name, tmp_path / name, store, learned=False)
            assert await again.post(event(door)) == 200
            assert await again.post(said(door, STRANGERS)) == 403


@PROVIDERS
async def test_a_reload_that_was_built_while_it_was_learned_knows_it_too(open_door, tmp_path, name):
    async with open_door(name, learned=False) as door:
        built = build(load(tmp_path / name / "config.toml", {"STATE_DIRECTORY": str(tmp_path / name)}))
        door.learner.open(name, "main", 60)
        assert await door.post(said(door)) == 200
        signed = event(door)
        door.receiver.use(built)
        assert await door.post(signed) == 200


@PROVIDERS
async def test_a_reload_that_was_built_before_another_secret_was_learned_goes_by_the_new_one(open_door, tmp_path, name):
    async with open_door(name, learned=False) as door:
        door.learner.open(name, "main", 60)
        assert await door.post(said(door)) == 200
        built = build(load(tmp_path / name / "config.toml", {"STATE_DIRECTORY": str(tmp_path / name)}))
        door.learner.open(name, "main", 60)
        assert await door.post(said(door, STRANGERS)) == 200
        signed = event(door)
        door.receiver.use(built)
        assert await door.post(signed) == 200


def built_renamed(folder, name):
    """Build the configuration with another name of the source."""
    config = folder / "config.toml"
    renamed = (
        config.read_text()
        .replace(f"[sources.{name}", "[sources.other")
        .replace(f'source = "{name}"', 'source = "other"')
    )
    config.write_text(
        renamed.replace("[sources.other]", f'[sources.other]\nformerly = "{name}"\npath = "/hooks/{name}"', 1)
    )
    return build(load(config, {"STATE_DIRECTORY": str(folder)}))


@PROVIDERS
async def test_what_is_learned_while_a_reload_that_renames_its_source_is_being_built_goes_along(
    open_door, tmp_path, name
):
    async with open_door(name, learned=False) as door:
        built = built_renamed(tmp_path / name, name)
        door.learner.open(name, "main", 60)
        assert await door.post(said(door)) == 200
        signed = event(door)
        rename_learned(built)
        door.receiver.use(built)
        assert kept(door) == {"other.main": SECRET}
        assert await door.post(signed) == 200


@PROVIDERS
async def test_a_window_outlives_a_reload_that_renames_its_source(open_door, tmp_path, name):
    async with open_door(name, learned=False) as door:
        door.learner.open(name, "main", 60)
        door.receiver.use(built_renamed(tmp_path / name, name))
        assert await door.post(said(door)) == 200
        assert kept(door) == {"other.main": SECRET}


@PROVIDERS
async def test_a_source_is_not_renamed_while_its_secret_is_being_written(open_door, tmp_path, name, monkeypatch):
    async with open_door(name, learned=False) as door:
        built = built_renamed(tmp_path / name, name)
        write, may_write = door.runtime.in_file_thread, trio.Event()

        async def slowly(call):
            await may_write.wait()
            return await write(call)

        async def rename():
            async with door.intake.pause():
                rename_learned(built)
                door.receiver.use(built)

        monkeypatch.setattr(door.runtime, "in_file_thread", slowly)
        door.learner.open(name, "main", 60)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(door.post, said(door))
            await wait_all_tasks_blocked()
            nursery.start_soon(rename)
            await wait_all_tasks_blocked()
            may_write.set()
        assert kept(door) == {"other.main": SECRET}
        assert built.sources["other"].credentials[0].learned.known


@PROVIDERS
async def test_a_secret_that_was_written_by_hand_after_one_was_learned_counts_after_a_reload(open_door, tmp_path, name):
    async with open_door(name, learned=False) as door:
        door.learner.open(name, "main", 60)
        assert await door.post(said(door)) == 200
        door.source.credentials[0].learned.file.write_text(STRANGERS)
        built = build(load(tmp_path / name / "config.toml", {"STATE_DIRECTORY": str(tmp_path / name)}))
        door.receiver.use(built)
        assert built.sources[name].credentials[0].learned.is_secret(STRANGERS.encode())


@PROVIDERS
async def test_a_secret_whose_file_was_taken_away_is_forgotten_by_a_reload(open_door, tmp_path, name):
    async with open_door(name, learned=False) as door:
        door.learner.open(name, "main", 60)
        assert await door.post(said(door)) == 200
        signed = event(door)
        door.source.credentials[0].learned.file.unlink()
        door.receiver.use(build(load(tmp_path / name / "config.toml", {"STATE_DIRECTORY": str(tmp_path / name)})))
        assert await door.post(signed) == 503


@PROVIDERS
async def test_W10_a_secret_that_cannot_be_written_is_not_believed_and_may_be_said_again(open_door, tmp_path, name):
    async with open_door(name, learned=False) as door:
        folder = tmp_path / name / "learned"
        folder.write_text("a file in the folder's place")
        door.learner.open(name, "main", 60)
        assert await door.post(said(door)) == 503
        assert await door.post(plain(door)) == 503, "nothing was learned"
        folder.unlink()
        assert await door.post(said(door)) == 200
        assert kept(door) == {f"{name}.main": SECRET}


async def test_a_source_whose_secret_is_in_a_file_answers_and_learns_nothing(open_door, tmp_path):
    async with open_door("asana") as door:
        config = (tmp_path / "asana" / "config.toml").read_text()
        assert "learned = true" in config
        config = config.replace("learned = true", 'secret = { file = "asana" }')
        (tmp_path / "asana" / "config.toml").write_text(config)
        door.receiver.use(build(load(tmp_path / "asana" / "config.toml", {"STATE_DIRECTORY": str(tmp_path / "asana")})))
        signed = event(door)
        assert await door.post(said(door, STRANGERS)) == 200
        assert await door.post(signed) == 200
