"""The `file` target with `folder`: one whole file for each event, never outside the folder (rows F1, F2, F3)."""

import errno
import json
import os
import resource
import stat
from dataclasses import replace

import pytest

from gateway.plugin import Context, Delivered, NotTried, Rejected, TargetDown
from gateway.runtime import Runtime
from gateway.targets.file import File, FileOptions
from gateway.testing.target import check_target, sample_message


async def opened(folder, name="{event.id}.json", **options):
    target = File.build(FileOptions(folder="out", name=name, **options))
    await target.open(Context(name="audit", runtime=Runtime(), connections=8, state_folder=folder))
    return target


async def deliver(folder, *messages, name="{event.id}.json", **options):
    target = await opened(folder, name, **options)
    outcomes = await target.deliver_many(messages)
    await target.close()
    return outcomes


def message(number=1, **body):
    payload = json.dumps(body).encode()
    return replace(sample_message(number), content=b"content %d" % number, payload=payload)


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_the_target_keeps_the_contract_of_targets(tmp_path):
    context = Context(name="audit", runtime=Runtime(), connections=8, state_folder=tmp_path)
    await check_target(File, {"folder": "out"}, context)
    assert not [name for name in files(tmp_path) if name.endswith(".tmp")]


async def test_each_event_becomes_a_file_with_its_content(tmp_path):
    name = "{source}/{event.type}/{body.order}-{event.id}.json"
    outcomes = await deliver(tmp_path, message(1, order=7), message(2, order="a b"), name=name)
    assert outcomes == [Delivered()] * 2
    assert files(tmp_path / "out") == {
        "acme/order.completed/7-evt_0000000000000001.json": b"content 1",
        "acme/order.completed/a b-evt_0000000000000002.json": b"content 2",
    }


async def test_an_event_that_comes_again_replaces_its_own_file(tmp_path):
    for _ in range(2):
        assert await deliver(tmp_path, message(1)) == [Delivered()]
    assert files(tmp_path / "out") == {"evt_0000000000000001.json": b"content 1"}


@pytest.mark.parametrize(
    "value",
    [
        "../../x",
        "..",
        ".",
        "/etc/passwd",
        "a/b",
        "a\0b",
        "",
        "x" * 300,
        "\u00e4" * 150,
        ".hidden",
        "a\nb",
        "\x1b[2J",
        "\ud800",
    ],
    ids=lambda value: ascii(value[:12]),
)
async def test_F1_a_value_that_makes_no_plain_name_kills_the_message_and_writes_nothing(tmp_path, value):
    bad = replace(message(1), payload=json.dumps({"n": value}).encode())
    outcomes = await deliver(tmp_path, bad, message(2, n="good"), name="{body.n}/{event.id}.json")
    assert isinstance(outcomes[0], Rejected)
    assert outcomes[0].reason.startswith("name: ")
    assert outcomes[1] == Delivered()
    assert files(tmp_path) == {"out/good/evt_0000000000000002.json": b"content 2"}


@pytest.mark.parametrize("payload", [b"{}", b'{"n":null}', b"no json", b"[" * 5000, b""])
async def test_F1_a_payload_without_the_value_kills_the_message(tmp_path, payload):
    (outcome,) = await deliver(tmp_path, replace(message(1), payload=payload), name="{body.n}-{event.id}")
    assert isinstance(outcome, Rejected)
    assert files(tmp_path) == {}


async def test_F1_a_value_is_never_read_as_a_template(tmp_path):
    await deliver(tmp_path, message(1, n="{event.type}%s$HOME"), name="{body.n}-{event.id}")
    assert files(tmp_path / "out") == {"{event.type}%s$HOME-evt_0000000000000001": b"content 1"}


async def test_F1_a_symlinked_folder_is_not_entered(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "acme").symlink_to(tmp_path / "elsewhere")
    (outcome,) = await deliver(tmp_path, message(1), name="{source}/{event.id}")
    assert isinstance(outcome, Rejected)
    assert files(tmp_path / "elsewhere") == {}


async def test_F1_a_symlink_in_place_of_the_file_is_replaced_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "evt_0000000000000001.json").symlink_to(victim)
    (tmp_path / "out" / ".evt_0000000000000001.tmp").symlink_to(victim)
    assert await deliver(tmp_path, message(1)) == [Delivered()]
    assert victim.read_text() == "untouched"
    assert not (tmp_path / "out" / "evt_0000000000000001.json").is_symlink()


async def test_a_folder_in_place_of_the_file_kills_the_message(tmp_path):
    (tmp_path / "out" / "evt_0000000000000001.json").mkdir(parents=True)
    (outcome,) = await deliver(tmp_path, message(1))
    assert isinstance(outcome, Rejected)


async def test_F2_a_file_counts_only_after_file_rename_and_folder_are_flushed(tmp_path, monkeypatch):
    target = await opened(tmp_path)
    calls = []
    for name in ("fsync", "rename"):
        real = getattr(os, name)

        def noted(*args, real=real, name=name, **named):
            what = name
            if name == "fsync":
                what = "fsync folder" if stat.S_ISDIR(os.fstat(args[0]).st_mode) else "fsync file"
            calls.append(what)
            return real(*args, **named)

        monkeypatch.setattr(os, name, noted)
    await target.deliver_many([message(1), message(2)])
    assert calls == ["fsync file", "rename", "fsync file", "rename", "fsync folder"]


async def test_F2_no_file_counts_while_its_folder_is_not_flushed(tmp_path, monkeypatch):
    target = await opened(tmp_path)
    real = os.fsync

    def fail(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    outcomes = await target.deliver_many([message(1), message(2)])
    assert all(isinstance(outcome, TargetDown) for outcome in outcomes)


@pytest.mark.parametrize("call", ["write", "fsync", "rename", "fchmod", "open"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
async def test_F3_a_failure_at_any_step_leaves_no_part_and_the_next_try_delivers(tmp_path, monkeypatch, call, code):
    target = await opened(tmp_path)
    real = getattr(os, call)
    left = [1]

    def fail(*args, **named):
        if left[0]:
            left[0] -= 1
            raise OSError(code, os.strerror(code))
        return real(*args, **named)

    monkeypatch.setattr(os, call, fail)
    outcome = await target.deliver(message(1))
    assert isinstance(outcome, TargetDown)
    assert os.strerror(code) in outcome.reason
    assert files(tmp_path) == {}
    assert await target.deliver(message(1)) == Delivered()
    assert files(tmp_path / "out") == {"evt_0000000000000001.json": b"content 1"}


async def test_F3_a_full_disk_in_mid_file_leaves_nothing(tmp_path):
    target = await opened(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, hard))
    try:
        outcome = await target.deliver(message(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(outcome, TargetDown)
    assert files(tmp_path) == {}


async def test_F3_what_a_kill_left_behind_is_cleared_by_the_next_try(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".evt_0000000000000001.tmp").write_text("half")
    assert await deliver(tmp_path, message(1)) == [Delivered()]
    assert files(tmp_path / "out") == {"evt_0000000000000001.json": b"content 1"}


async def test_one_bad_message_does_not_touch_the_others_of_its_batch(tmp_path):
    (tmp_path / "out" / "evt_0000000000000002.json").mkdir(parents=True)
    outcomes = await deliver(tmp_path, message(1), message(2), message(3))
    assert [type(outcome) for outcome in outcomes] == [Delivered, Rejected, Delivered]


async def test_no_descriptor_left_is_our_own_trouble(tmp_path, monkeypatch):
    target = await opened(tmp_path)

    def fail(*args, **named):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", fail)
    assert isinstance(await target.deliver(message(1)), NotTried)


async def test_a_folder_that_is_removed_is_made_again(tmp_path):
    target = await opened(tmp_path)
    (tmp_path / "out").rmdir()
    assert await target.deliver(message(1)) == Delivered()


async def test_mode_and_group_hold_for_files_and_folders(tmp_path):
    await deliver(tmp_path, message(1), name="{source}/{event.id}", mode="0644")
    assert stat.S_IMODE((tmp_path / "out" / "acme").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "out" / "acme" / "evt_0000000000000001").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("{source}.json", "{event.id}"),
        ("/abs/{event.id}", "empty or begins with a dot"),
        ("../{event.id}", "empty or begins with a dot"),
        ("a//{event.id}", "empty or begins with a dot"),
        (".{event.id}", "empty or begins with a dot"),
        ("{event.id}/", "empty or begins with a dot"),
        ("{header.x}{event.id}", "cannot stand in a name"),
        ("{event.key}{event.id}", "cannot stand in a name"),
        ("{event.id", "brace"),
        ("{nothing}{event.id}", "selector"),
        ("a\0{event.id}", "control character"),
        ("/".join(["a"] * 9) + "{event.id}", "more than 8 parts"),
    ],
)
def test_a_name_that_cannot_work_is_refused_with_the_reason(name, words):
    with pytest.raises(ValueError) as caught:
        FileOptions(folder="out", name=name)
    assert words in str(caught.value)
