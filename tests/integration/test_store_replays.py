"""What the audit tells of a replay that has ended."""

import pytest
from store_samples import desk_on

from gateway.store.operator import Advance, Note, Replay


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ('{"told": "all of crm"}', "all of crm"),
        ("no JSON", "no JSON"),
        ("{}", "{}"),
        ("[]", "[]"),
    ],
)
async def test_the_audit_of_a_replay_tells_its_plan_as_it_was_asked_for(plan, told, tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        operator = desk.store.operator
        for name in ("done", "cancelled"):
            await operator.begin_replay(Replay(name, 5, "uid 0", plan))
        await operator.advance_replay("done", Advance([], 0, 0, 9, done=True))
        await operator.cancel_replay("cancelled", Note("uid 7", "", "x" * 600))
        cancelled, done = await operator.audit(None, 9)
        assert (done.who, done.action, done.subject, done.reason) == ("uid 0", "replay", f"done: {told}", "")
        assert (cancelled.who, cancelled.action, cancelled.subject) == ("uid 7", "cancel replay", "cancelled")
        assert cancelled.reason == "x" * 500
        assert (await operator.replay("cancelled")).reason == "x" * 500
