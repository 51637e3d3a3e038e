import socket

import pytest
import trio
from hookgate_syslog import SyslogOptions, syslog

from gateway.plugin import Context, Delivered, Runtime, TargetDown
from gateway.testing import check_target, sample_message


@pytest.fixture(name="log")
def open_log(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        yield log


def address(log):
    return log.getsockname()


async def test_an_event_is_one_line_with_facility_tag_type_and_id(log):
    target = syslog.build(SyslogOptions(address=address(log), facility="local0", tag="hooks"))
    await target.open(Context("syslog", Runtime(), 1))
    assert await target.deliver(sample_message()) == Delivered()
    line = log.recv(4096)
    assert line.startswith(b"<134>hooks: order.completed evt_0000000000000001 {")
    assert b"\n" not in line


async def test_a_log_that_is_not_there_takes_the_target_down(tmp_path):
    target = syslog.build(SyslogOptions(address=str(tmp_path / "none")))
    await target.open(Context("syslog", Runtime(), 1))
    assert isinstance(await target.deliver(sample_message()), TargetDown)


async def test_it_keeps_the_contract_of_targets(log):
    reader = trio.socket.from_stdlib_socket(log)

    async def read():
        while True:
            await reader.recv(4096)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await check_target(syslog, {"address": address(log)}, Context("syslog", Runtime(), 1))
        nursery.cancel_scope.cancel()
