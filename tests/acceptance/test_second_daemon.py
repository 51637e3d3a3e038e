"""B3: one store, one daemon."""

from harness.daemon import running
from harness.senders import post, truework
from harness.settings import ORDERS_TOKEN, Settings


async def test_B3_a_second_daemon_on_one_store_refuses_and_the_first_goes_on(home):
    Settings(home).write()
    async with running(home) as first:
        again = Settings(home)
        home.config.with_name("second.toml").write_text(again.text().replace("admin.sock", "second.sock"))
        async with running(home, wait=False, config=home.config.with_name("second.toml")) as second:
            assert await second.wait_ended() != 0
            assert "hookgate.db" in second.tail()
            assert "READY=1" not in second.notices
        assert (await post(first.port, truework("order-1", ORDERS_TOKEN))).status == 200
        assert (await first.ask("/ready"))["ready"] is True
