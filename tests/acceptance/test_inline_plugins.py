"""Plugins that the operator runs inside the daemon: whatever they raise, an exit included, the daemon goes on."""

import pytest

from harness.daemon import running
from harness.senders import post, truework
from harness.settings import ORDERS_TOKEN, Settings

HEAD = """
from gateway.plugin import Delivered, Options, target

class Bad(Options):
    x: str = ""
{options}
"""
FUNCTION = """
@target(Bad)
{word} deliver(message, options):
    {raises}
"""
CLASS = """
@target(Bad)
class Rude:
    def __init__(self, options): {init}
    async def open(self, context): {open}
    async def deliver(self, message): {deliver}
    async def close(self): {close}
"""
FINE = {"init": "pass", "open": "pass", "deliver": "return Delivered()", "close": "pass"}
EXIT = "raise SystemExit(3)"
GROUP = "raise BaseExceptionGroup('x', [SystemExit(3), ValueError()])"
OTHER = "raise type('Other', (BaseException,), {})"


def function(raises, word="def", options=""):
    return HEAD.format(options=options) + FUNCTION.format(word=word, raises=raises)


def rude(**parts):
    return HEAD.format(options="") + CLASS.format(**{**FINE, **parts})


GOOD = function("return Delivered()")
REFUSED, DOWN, TRIED, NOTHING = "config.refused", "target.down", "attempt.failed", "config.reloaded"
CASES = {
    "a function exits": (function(EXIT), TRIED),
    "a function raises a group of exits": (function(GROUP), TRIED),
    "a function raises what is no Exception": (function(OTHER), TRIED),
    "a coroutine exits": (function(EXIT, "async def"), TRIED),
    "a coroutine raises a group of exits": (function(GROUP, "async def"), TRIED),
    "a coroutine raises what is no Exception": (function(OTHER, "async def"), TRIED),
    "a class exits as it delivers": (rude(deliver=EXIT), TRIED),
    "a class exits as it is opened": (rude(open=EXIT), DOWN),
    "a class exits as it is closed": (rude(close=EXIT), NOTHING),
    "a class exits as it is made": (rude(init=EXIT), REFUSED),
    "an import exits": (f"{EXIT}\n{GOOD}", REFUSED),
    "options exit": (function("pass", options=f"    def __init__(self, **_):\n        {EXIT}"), REFUSED),
    "warnings exit": (function(EXIT, options=f"    def warnings(self):\n        {EXIT}"), TRIED),
}


@pytest.mark.parametrize("case", CASES)
async def test_G1_an_inline_plugin_that_exits_does_not_end_the_daemon(home, case):
    text, told = CASES[case]
    folder = home.folder / "plugins"
    folder.mkdir(mode=0o700)

    def write(plugin):
        (folder / "bad.py").write_text(plugin)
        (folder / "bad.py").chmod(0o600)

    write(GOOD)
    table = (
        '[targets.mine]\ntype = "bad"\nisolation = "inline"\nretry = { delays = ["1s"], then = "1s", give_up = "1h" }\n'
    )
    Settings(home, more=table, orders_targets=["mine", "audit"]).write()
    async with running(home) as daemon:
        write(text)
        await daemon.reload()
        assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
        await daemon.wait_logged(told)
        write(GOOD)
        await daemon.reload()
        await daemon.cli("targets", "enable", "mine")
        await daemon.wait_settled()
        target = await daemon.target("mine")
        assert (target["dead"], target["last_delivered_at"] is None) == (0, False)
        assert await daemon.stop() == 0
