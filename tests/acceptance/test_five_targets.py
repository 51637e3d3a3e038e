"""The first page's promise: one event reaches all five kinds of target, and one that fails delays no other."""

import pytest

from harness.daemon import running
from harness.five import BREAKS, failures, five_targets, until
from harness.senders import post, truework
from harness.settings import ORDERS_TOKEN
from harness.small_disk import mounts_work, on_small_disk

MORE = [f"order-{number}" for number in range(1, 9)]
SIZE = 8192
"""More than the file's last page can have left when its disk is full."""
MENDED_SECONDS = 120
"""The longer the others took, the longer the breaker waits until its next probe: about as long again."""


async def test_one_truework_event_reaches_http_mail_file_program_and_plugin(home):
    async with five_targets(home) as five:
        five.settings(home).write()
        async with running(home) as daemon:
            assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
            await daemon.wait_settled()
            (event,) = (await daemon.cli("events", "list"))["events"]
            assert {name: kind.got() for name, kind in five.items()} == {
                name: [(event["id"], "order-1")] for name in five
            }
            assert len(five["shell"].helper.helpers) == 1
            assert all(tls for _, tls in five["email"].mailbox.logins)
            assert five["email"].mailbox.logins
            assert await daemon.stop() == 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "way"), BREAKS)
async def test_a_target_that_fails_delays_none_of_the_other_four_and_gets_everything_once_it_is_mended(home, name, way):
    if way == "is full" and not mounts_work():
        pytest.skip("a tmpfs cannot be mounted here (needs root and mount namespaces)")
    async with five_targets(home) as five:
        broken, others = five[name], [kind for kind in five.values() if kind.name != name]
        before = on_small_disk(five["file"].disk / "out", "1m") if way == "is full" else ()
        five.settings(home).write()
        async with running(home, before=before) as daemon:
            await post(daemon.port, truework("order-0", ORDERS_TOKEN))
            await daemon.wait_settled()
            broken.break_(way, daemon)
            assert (await post(daemon.port, truework(MORE[0], ORDERS_TOKEN, size=SIZE))).status == 200
            await until(lambda: broken.has_failed(daemon), 30)
            for order in MORE[1:]:
                assert (await post(daemon.port, truework(order, ORDERS_TOKEN, size=SIZE))).status == 200
            for kind in others:
                await kind.wait_got(["order-0", *MORE])
            assert {one.order for one in broken.got()} == {"order-0"}, "it was not broken"
            if way == "stalls":
                assert not failures(daemon, name), "its first try was over before the others were done"
            status = await daemon.target(name)
            assert (status["pending"] + status["in_flight"], status["dead"]) == (len(MORE), 0)
            broken.mend()
            await broken.wait_got(MORE, MENDED_SECONDS)
            await daemon.wait_settled()
            everywhere = {kind.name: set(kind.got()) for kind in five.values()}
            assert all(got == everywhere["http"] for got in everywhere.values()), "other ids at another target"
            assert len(everywhere["http"]) == 1 + len(MORE)
            assert not [kind.name for kind in others if failures(daemon, kind.name)]
            assert await daemon.stop() == 0
