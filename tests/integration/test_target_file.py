"""The `file` target with `path`: whole lines, durable, rotated, and nothing half-done when the disk fails."""

import errno
import fcntl
import grp
import json
import os
import resource
import stat
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.plugin import BatchTarget, Context, Delivered, NotTried, TargetDown, load_kinds
from gateway.runtime import Runtime
from gateway.targets.file import File, FileOptions
from gateway.targets.lines import line_of
from gateway.testing.target import check_target, sample_message

DAY_MS = 86_400_000


class Clock(Runtime):
    def __init__(self, now_ms=None):
        super().__init__()
        self.fixed = now_ms

    def now_ms(self):
        return super().now_ms() if self.fixed is None else self.fixed


def context(folder, runtime=None):
    return Context(name="audit", runtime=runtime or Runtime(), connections=8, state_folder=folder)


async def opened(folder, runtime=None, **options):
    target = File.build(FileOptions(**{"path": "events.jsonl", **options}))
    await target.open(context(folder, runtime))
    return target


def message(number, content=None):
    plain = sample_message(number)
    return plain if content is None else replace(plain, content=content)


def lines(path):
    text = path.read_bytes()
    assert text.endswith(b"\n") or not text
    return text.splitlines()


@contextmanager
def limited(size):
    """No file of this process may grow beyond `size`: what a full disk does, at an exact byte."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def failing(monkeypatch, call, code, times=1):
    """Let an operating system call of this process fail a number of times."""
    real = getattr(os, call)
    left = [times]

    def fail(*arguments, **named):
        if left[0]:
            left[0] -= 1
            raise OSError(code, os.strerror(code))
        return real(*arguments, **named)

    monkeypatch.setattr(os, call, fail)


def test_the_kind_is_installed_takes_batches_and_writes_envelopes():
    assert load_kinds("targets", {"file"})["file"] is File
    assert File.send == "envelope"
    assert isinstance(File.build(FileOptions(path="x")), BatchTarget)


async def test_the_target_keeps_the_contract_of_targets(tmp_path):
    await check_target(File, {"path": "events.jsonl"}, context(tmp_path))
    for line in lines(tmp_path / "events.jsonl"):
        assert line


async def test_a_batch_is_one_write_and_one_flush(tmp_path, monkeypatch):
    target = await opened(tmp_path)
    calls = []
    for name in ("write", "fdatasync"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, real=real, name=name: (calls.append(name), real(*args))[1])
    outcomes = await target.deliver_many([message(number) for number in range(100)])
    assert outcomes == [Delivered()] * 100
    assert calls == ["write", "fdatasync"]
    await target.close()
    assert lines(tmp_path / "events.jsonl") == [message(number).content for number in range(100)]


async def test_F2_a_line_is_flushed_before_it_counts(tmp_path, monkeypatch):
    target = await opened(tmp_path)
    failing(monkeypatch, "fdatasync", errno.EIO)
    assert isinstance(await target.deliver(message(1)), TargetDown)
    assert lines(tmp_path / "events.jsonl") == []
    assert await target.deliver(message(1)) == Delivered()
    assert lines(tmp_path / "events.jsonl") == [message(1).content]
    await target.close()


async def test_a_new_file_is_flushed_into_its_folder(tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(stat.S_ISDIR(os.fstat(fd).st_mode)), real(fd))[1])
    await (await opened(tmp_path)).close()
    assert synced == [True]


@pytest.mark.parametrize("cut", [1, 7, 40])
async def test_F3_a_disk_that_is_full_in_mid_line_leaves_whole_lines_only(tmp_path, cut):
    target = await opened(tmp_path)
    await target.deliver(message(1))
    size = (tmp_path / "events.jsonl").stat().st_size
    with limited(size + cut):
        outcomes = await target.deliver_many([message(2), message(3)])
    assert all(isinstance(outcome, TargetDown) for outcome in outcomes)
    assert str(tmp_path / "events.jsonl") in outcomes[0].reason
    assert lines(tmp_path / "events.jsonl") == [message(1).content]
    assert await target.deliver_many([message(2), message(3)]) == [Delivered()] * 2
    assert lines(tmp_path / "events.jsonl") == [message(number).content for number in (1, 2, 3)]
    await target.close()


@pytest.mark.parametrize("call", ["write", "fdatasync"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
async def test_F3_each_disk_error_takes_the_target_down_and_leaves_nothing(tmp_path, monkeypatch, call, code):
    target = await opened(tmp_path)
    await target.deliver(message(1))
    failing(monkeypatch, call, code)
    outcome = await target.deliver(message(2))
    assert isinstance(outcome, TargetDown)
    assert os.strerror(code) in outcome.reason
    assert lines(tmp_path / "events.jsonl") == [message(1).content]
    await target.close()


async def test_F3_a_line_that_even_truncation_could_not_remove_is_closed_by_the_next(tmp_path, monkeypatch):
    target = await opened(tmp_path)
    await target.deliver(message(1))
    failing(monkeypatch, "ftruncate", errno.EIO)
    with limited((tmp_path / "events.jsonl").stat().st_size + 5):
        assert isinstance(await target.deliver(message(2)), TargetDown)
    await target.deliver(message(2))
    torn = message(2).content[:5]
    assert lines(tmp_path / "events.jsonl") == [message(1).content, torn, message(2).content]
    await target.close()


@pytest.mark.parametrize("call", ["fchmod", "fsync"])
@pytest.mark.parametrize("path", ["events.jsonl", "sub/events.jsonl"])
async def test_F3_a_file_or_folder_that_cannot_be_made_right_is_made_by_a_later_try(tmp_path, monkeypatch, call, path):
    failing(monkeypatch, call, errno.EPERM)
    with pytest.raises(OSError, match="not permitted"):
        await opened(tmp_path, path=path)
    assert list(tmp_path.rglob("*")) == []
    target = await opened(tmp_path, path=path, mode="0644")
    assert await target.deliver(message(1)) == Delivered()
    assert stat.S_IMODE((tmp_path / path).stat().st_mode) == 0o644
    await target.close()


async def test_no_descriptor_left_is_our_own_trouble(tmp_path, monkeypatch):
    target = await opened(tmp_path)
    (tmp_path / "events.jsonl").unlink()
    failing(monkeypatch, "open", errno.EMFILE)
    assert isinstance(await target.deliver(message(1)), NotTried)
    await target.close()


async def test_a_torn_last_line_of_a_crash_is_closed_at_open(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"a":1}\n{"half')
    target = await opened(tmp_path)
    assert path.read_bytes() == b'{"a":1}\n{"half\n'
    await target.deliver(message(1))
    assert lines(path)[2] == message(1).content
    await target.close()


@pytest.mark.parametrize("how", ["renamed", "removed"])
async def test_a_file_that_somebody_else_puts_aside_is_made_anew(tmp_path, how):
    path = tmp_path / "events.jsonl"
    target = await opened(tmp_path)
    await target.deliver(message(1))
    if how == "renamed":
        path.rename(tmp_path / "aside")
    else:
        path.unlink()
    await target.deliver(message(2))
    assert lines(path) == [message(2).content]
    await target.close()


async def test_an_old_and_a_new_configuration_share_a_file_whole_line_by_whole_line(tmp_path):
    first, second = await opened(tmp_path), await opened(tmp_path)
    await first.deliver(message(1))
    with limited((tmp_path / "events.jsonl").stat().st_size + 3):
        await second.deliver(message(2))
    await first.deliver(message(3))
    await second.deliver(message(4))
    assert lines(tmp_path / "events.jsonl") == [message(number).content for number in (1, 3, 4)]
    await first.close()
    await second.close()


async def test_an_append_holds_the_lock_of_the_file_from_its_length_to_its_flush(tmp_path, monkeypatch):
    target = await opened(tmp_path)
    calls = []
    for module, name in ((fcntl, "flock"), (os, "fstat"), (os, "write"), (os, "fdatasync")):
        real = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *args, real=real, name=name: (calls.append((name, args[1:])), real(*args))[1]
        )
    await target.deliver(message(1))
    names = [name for name, _ in calls]
    assert calls[0] == ("flock", (fcntl.LOCK_EX,))
    assert calls[-1] == ("flock", (fcntl.LOCK_UN,))
    assert names.count("flock") == 2
    assert names[-4:-1] == ["fstat", "write", "fdatasync"]
    await target.close()


async def test_by_size_the_youngest_files_stay_and_no_line_is_lost_or_cut(tmp_path):
    target = await opened(tmp_path, rotate={"size": "1KiB", "keep": 3})
    for number in range(10):
        assert await target.deliver(message(number, b'"%d%s"' % (number, b"x" * 600))) == Delivered()
    await target.close()
    kept = {path.name: lines(path)[0][1:2] for path in tmp_path.iterdir()}
    assert kept == {"events.jsonl": b"9", "events.jsonl.1": b"8", "events.jsonl.2": b"7", "events.jsonl.3": b"6"}


async def test_rotation_fills_a_gap_instead_of_dropping_a_file(tmp_path):
    target = await opened(tmp_path, rotate={"size": "1KiB", "keep": 5})
    for name, text in (("1", "one"), ("3", "three")):
        (tmp_path / f"events.jsonl.{name}").write_text(f"{text}\n")
    for number in range(2):
        await target.deliver(message(number, b'"%s"' % (b"x" * 600)))
    await target.close()
    assert lines(tmp_path / "events.jsonl.2") == [b"one"]
    assert lines(tmp_path / "events.jsonl.3") == [b"three"]


async def test_by_period_a_file_of_an_earlier_day_is_put_aside_also_after_a_restart(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"old\n")
    noon = 1_700_000_000_000 // DAY_MS * DAY_MS + DAY_MS // 2
    os.utime(path, ns=(noon * 1_000_000,) * 2)
    clock = Clock(noon + DAY_MS // 3)
    target = await opened(tmp_path, clock, rotate={"every": "1d"})
    await target.deliver(message(1))
    assert lines(path) == [b"old", message(1).content]
    os.utime(path, ns=(noon * 1_000_000,) * 2)
    clock.fixed = noon + DAY_MS
    await target.deliver(message(2))
    await target.close()
    assert lines(path) == [message(2).content]
    assert lines(tmp_path / "events.jsonl.1") == [b"old", message(1).content]


async def test_a_rotation_that_fails_takes_the_target_down_and_loses_nothing(tmp_path, monkeypatch):
    target = await opened(tmp_path, rotate={"size": "1KiB"})
    big = b'"%s"' % (b"x" * 900)
    await target.deliver(message(1, big))
    failing(monkeypatch, "rename", errno.ENOSPC)
    assert isinstance(await target.deliver(message(2, big)), TargetDown)
    assert lines(tmp_path / "events.jsonl") == [big]
    assert await target.deliver(message(2, big)) == Delivered()
    assert lines(tmp_path / "events.jsonl.1") == [big]
    await target.close()


@pytest.mark.parametrize(
    ("content", "content_type", "line"),
    [
        (b'{"a":1}', "application/json", b'{"a":1}'),
        (b'{\r\n  "a": "x\\ny"\n}', "application/cloudevents+json; charset=utf-8", b'{    "a": "x\\ny" }'),
        (b"two\nlines", "text/plain", b'"two\\nlines"'),
        (b"a=b&c=d", "application/x-www-form-urlencoded", b'"a=b&c=d"'),
        (b"\xff\n", "", b'{"base64":"/wo="}'),
        (b"", "application/json", b"null"),
        (b"", "", b"null"),
    ],
)
def test_every_content_is_one_line_of_json(content, content_type, line):
    assert line_of(content, content_type) == line
    assert b"\n" not in line
    before = json.loads(content) if "json" in content_type and content else None
    assert before is None or json.loads(line) == before


@pytest.mark.parametrize("mode", ["0600", "640", "0664"])
async def test_a_new_file_and_its_new_folder_have_the_mode_and_group_whatever_the_umask(tmp_path, mode):
    group = grp.getgrgid(os.getgid()).gr_name
    before = os.umask(0o077)
    try:
        target = await opened(tmp_path, path="sub/events.jsonl", mode=mode, group=group)
    finally:
        os.umask(before)
    await target.close()
    found = (tmp_path / "sub" / "events.jsonl").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (int(mode, 8), os.getgid())
    folder = stat.S_IMODE((tmp_path / "sub").stat().st_mode)
    assert folder == int(mode, 8) | (int(mode, 8) & 0o444) >> 2


async def test_a_file_that_exists_keeps_its_mode(tmp_path):
    path = tmp_path / "events.jsonl"
    path.touch(mode=0o604)
    path.chmod(0o604)
    await (await opened(tmp_path)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


@pytest.mark.parametrize("options", [{"path": "no/such/events.jsonl"}, {"group": "no-such-group"}, {"path": "pipe"}])
async def test_what_cannot_be_opened_is_an_oserror_that_names_it(tmp_path, options):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=r"no/such/events\.jsonl|no-such-group|pipe"):
        await opened(tmp_path, **options)


async def test_a_closed_target_holds_no_descriptor(tmp_path):
    def held():
        numbers = [Path("/proc/self/fd", str(number)) for number in range(256)]
        links = [str(number.readlink()) for number in numbers if number.is_symlink()]
        return [link for link in links if link.startswith(str(tmp_path))]

    target = await opened(tmp_path, rotate={"size": "1KiB"})
    for number in range(5):
        await target.deliver(message(number, b'"%s"' % (b"x" * 600)))
    assert held() == [str(tmp_path / "events.jsonl")]
    await target.close()
    assert held() == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "either path"),
        ({"path": "a", "folder": "b"}, "either path"),
        ({"path": "a", "name": "{event.id}"}, "name is only for folder"),
        ({"folder": "a", "rotate": {"size": "1MiB"}}, "rotate is only for path"),
        ({"path": "a", "rotate": {}}, "expected size or every"),
        ({"path": "a", "rotate": {"size": "0B"}}, "at least"),
        ({"path": "a", "rotate": {"every": "1ms"}}, "at least"),
        ({"path": "a", "rotate": {"size": "1MiB", "keep": 0}}, "keep"),
        ({"path": "a", "mode": "0777"}, "expected a mode"),
        ({"path": "a", "mode": "0440"}, "expected a mode"),
        ({"path": "a", "mode": 640}, "string"),
        ({"path": "a/"}, "expected the path"),
        ({"path": ""}, "expected the path"),
        ({"path": "a\0b"}, "expected the path"),
        ({"path": "a", "fsync": False}, "fsync"),
    ],
)
def test_options_that_cannot_work_are_refused_with_the_reason(options, words):
    with pytest.raises(ValueError) as caught:
        FileOptions(**options)
    assert words in str(caught.value)
