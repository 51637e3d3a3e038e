"""P16: SIGTERM ends the daemon with 0 within 30 s beside each kind of stuck peer, alone and together; nothing is lost.

`HOOKGATE_STOPS` sets how many stops are tried (20 in CI: each kind alone, the rest drawn), `HOOKGATE_STOP_SEED` repeats
a run's choices. Several daemons stop at once: mostly they wait.
"""

import os
import random
import signal
import ssl
import subprocess
from contextlib import AsyncExitStack

import pytest
import trio
import trustme

from harness.audit import open_and_look
from harness.daemon import running
from harness.home import temporary_home
from harness.seeds import seed_of
from harness.senders import Client, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.stuck import EVERY, NoWindow, Resolver, open_peers
from harness.tq import Ledger

STOPS = int(os.environ.get("HOOKGATE_STOPS", "20"))
SEED = seed_of("STOP")
AT_ONCE = 10
EVENTS = 10
END_SECONDS = 30.0
AUTHORITY = trustme.CA()
TLS = 'tls = { cert = "cert.pem", key = "key.pem" }'


def certify(home):
    leaf = AUTHORITY.issue_cert("hooks.example")
    leaf.cert_chain_pems[0].write_to_path(home.folder / "cert.pem")
    leaf.private_key_pem.write_to_path(home.folder / "key.pem")
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    context.set_alpn_protocols(["h2"])
    return context


def may_mount():
    """True if a file can be put over another for one process."""
    command = ["unshare", "-m", "mount", "--bind", "/etc/hosts", "/etc/resolv.conf"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Stop:
    """One daemon beside its stuck peers, until it has ended."""

    def __init__(self, kinds, http):
        self.kinds, self.http = kinds, http
        self.ledger = Ledger()
        self.wrong = []
        self.seconds = 0.0

    def __str__(self):
        return f"{'+'.join(kind.__name__ for kind in self.kinds)} ({self.http})"

    async def live(self, home, stack):
        peers = await open_peers(self.kinds, home, stack, certify(home))
        targets = ["audit", *(peer.target for peer in peers if peer.target)]
        more = "\n".join(peer.tables for peer in peers)
        settings = Settings(home, server=f'http = "{self.http}"\n{TLS}', more=more, orders_targets=targets)
        settings.write()
        listens = settings.text().replace('"127.0.0.1:0"', f'"127.0.0.1:0", "unix:{home.folder}/in.sock"')
        home.write_config(listens)
        before = tuple(part for peer in peers for part in peer.before)
        async with running(home, before=before) as daemon, AsyncExitStack() as held:
            with Client(home.folder / "in.sock") as client:
                for number in range(EVENTS):
                    await client.insist(truework(f"o-{number}", ORDERS_TOKEN), self.ledger)
            for peer in peers:
                await peer.hold(daemon, held)
            began = trio.current_time()
            daemon.signal(signal.SIGTERM)
            code = await daemon.wait_ended(60)
            self.seconds = trio.current_time() - began
            if code != 0:
                self.wrong.append(f"ended with {code}")
            if self.seconds > END_SECONDS:
                self.wrong.append(f"took {self.seconds:.1f} s")
        await self.look(home, len(targets))

    async def look(self, home, targets):
        if (home.folder / "shell.mark").exists() and _lives(int((home.folder / "shell.mark").read_text())):
            self.wrong.append("its program lives on")
        found = await open_and_look(home.database, deliveries=targets)
        stored = self.ledger.account(list(found.orders))
        if not stored.holds:
            self.wrong.append(str(stored))
        self.wrong += found.faults


def _lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def draw(dice, count, kinds):
    """Each kind alone, then mixtures of up to all of them."""
    chosen = [[kind] for kind in kinds]
    while len(chosen) < count:
        chosen.append(dice.sample(kinds, dice.randint(2, len(kinds))))
    return [
        Stop(mixture, "hypercorn" if NoWindow in mixture else dice.choice(["own", "own", "hypercorn"]))
        for mixture in chosen[:count]
    ]


async def carry_out(stop, limiter):
    async with limiter:
        with temporary_home() as home:
            try:
                async with AsyncExitStack() as stack:
                    await stop.live(home, stack)
            except Exception as error:  # noqa: BLE001 - told with the peers that caused it
                stop.wrong.append(repr(error))


@pytest.mark.timeout(120 + 30 * STOPS)
async def test_P16_a_stop_beside_any_stuck_peers_ends_with_0_in_30_seconds_and_loses_nothing(tell):
    dice, began = random.Random(SEED), trio.current_time()
    stops = draw(dice, STOPS, [kind for kind in EVERY if kind is not Resolver or may_mount()])
    limiter = trio.CapacityLimiter(AT_ONCE)
    async with trio.open_nursery() as nursery:
        for stop in stops:
            nursery.start_soon(carry_out, stop, limiter)
    slowest = max(stops, key=lambda stop: stop.seconds)
    tell(
        f"{len(stops)} stops beside stuck peers (seed {SEED}), {trio.current_time() - began:.0f} s; "
        f"the slowest took {slowest.seconds:.1f} s: {slowest}"
    )
    assert {str(stop): stop.wrong for stop in stops if stop.wrong} == {}
