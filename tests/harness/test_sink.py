"""Sink and client prove each other: what one sends the other records, fault by fault."""

import pytest
import trio
import trio.testing

from harness.senders import Client, post, truework
from harness.sink import FINE, Fault, open_sink
from harness.tq import Ledger


async def test_the_sink_records_what_arrives_in_order_with_its_webhook_id():
    async with open_sink() as sink:
        first, second = truework("o-1", "t"), truework("o-2", "t")
        with Client(sink.port) as client:
            assert (await client.send(first)).status == 200
            await client.exchange(second.wire().replace(b"Host:", b"Webhook-Id: evt_1\r\nHost:"))
        assert [arrival.body for arrival in sink.taken] == [first.body, second.body]
        assert [arrival.webhook_id for arrival in sink.taken] == ["", "evt_1"]
        assert len(first.body) == 1024


@pytest.mark.parametrize("status", [204, 410, 429, 503])
async def test_the_sink_answers_the_status_it_was_told(status):
    async with open_sink() as sink:
        sink.fault = Fault(status, headers=(("Retry-After", "7"),))
        answer = await post(sink.port, truework("o", "t"))
        assert (answer.status, answer.headers["retry-after"]) == (status, "7")
        assert len(sink.taken) == (status == 204)


async def test_a_reset_and_a_hang_are_recorded_but_not_taken():
    async with open_sink() as sink:
        sink.fault = Fault(reset=True)
        with pytest.raises(ConnectionResetError):
            await post(sink.port, truework("o", "t"))
        sink.fault = Fault(hang=True)
        answers = []

        async def ask():
            answers.append(await post(sink.port, truework("o", "t")))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await sink.wait(lambda sink: len(sink.arrivals) == 2, 30)
            await trio.testing.wait_all_tasks_blocked(0.1)
            nursery.cancel_scope.cancel()
        assert answers == []
        assert (len(sink.arrivals), len(sink.taken)) == (2, 0)


async def test_a_closed_sink_refuses_and_opens_again_on_its_port():
    async with open_sink() as sink, trio.open_nursery() as nursery:
        port = sink.port
        sink.close()
        await trio.testing.wait_all_tasks_blocked()
        with Client(port) as client:
            with pytest.raises(ConnectionRefusedError):
                await client.send(truework("o", "t"))
            assert client.refused == 1
            await sink.serve(nursery)
            assert sink.port == port
            assert (await client.send(truework("o", "t"))).status == 200
        sink.close()


async def test_an_insisting_client_repeats_the_same_bytes_until_it_is_taken():
    ledger = Ledger()
    async with open_sink() as sink:
        sink.choose = lambda _: Fault(503) if len(sink.arrivals) < 2 else FINE
        with Client(sink.port) as client:
            await client.insist(truework("o-9", "t"), ledger)
        assert len({arrival.digest for arrival in sink.arrivals}) == 1
        assert len(sink.arrivals) == 3
    assert ledger.account(["o-9"]).holds
