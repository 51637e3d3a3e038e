"""The shipped exec unit allows all that the helper itself does, from the first call to the last kill."""

import re

from test_service_units import UNITS, group, needs_strace, needs_systemd

from gateway.runtime import Runtime
from gateway.wire import exec_client
from gateway.wire.exec_client import ExecClient, Job


def allowed_calls():
    allowed = set()
    text = (UNITS / "hookgate-exec@.service").read_text()
    for line in re.findall(r"^SystemCallFilter=(.*)$", text, re.MULTILINE):
        for name in line.removeprefix("~").split():
            allowed = allowed - group(name) if line.startswith("~") else allowed | group(name)
    return allowed


@needs_systemd
@needs_strace
async def test_every_system_call_of_a_run_is_one_that_the_exec_unit_allows(tmp_path, monkeypatch):
    trace = tmp_path / "trace"
    strace = ("strace", "-f", "-qq", "-s", "64", "-o", str(trace))
    monkeypatch.setattr(exec_client, "HELPER", (*strace, *exec_client.HELPER))
    text = "trap '' TERM; cat; (setsid sleep 100 &) ; sleep 100"
    ended = await ExecClient(Runtime(), None).run(Job(("/bin/sh", "-c", text), {}, "/", 3.0, b"content"))
    assert (ended.how, ended.output, ended.survivors) == ("timeout", b"content", 0)
    lines = [line.partition(" ")[2].lstrip() for line in trace.read_text().splitlines()]
    made = {found[1] for line in lines if (found := re.match(r"(\w+)\(", line))}
    assert {"execve", "memfd_create", "pidfd_open", "prctl", "prlimit64", "kill", "setsid"} <= made
    assert made - allowed_calls() == set()
    assert "setuid" not in allowed_calls(), "the filter is read wrongly"
    denied = [line for line in lines if re.match(r"mmap\(|mprotect\(", line) and "PROT_WRITE|PROT_EXEC" in line]
    assert denied == [], "MemoryDenyWriteExecute= would refuse these"
