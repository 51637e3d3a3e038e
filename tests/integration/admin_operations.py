"""A daemon made of memory for the admin API's tests: it writes down what it was asked, tests set what it answers."""

from gateway.admin.desk import EventProgress, Progress, ReplayStatus
from gateway.admin.operations import (
    IngressStatus,
    LearningStatus,
    NotPossibleError,
    ReloadResult,
    SourceStatus,
    Status,
    StoreStatus,
    TargetStatus,
)
from gateway.core.model import StoredEvent
from gateway.replay_plan import ReplayPlan
from gateway.store.contract import AttemptRow, DeliveryRow, EventRow
from gateway.store.operator import AuditRow, EventFilter, Replay

EVENT = 0x123456789ABCDEF
TEXT = "evt_0123456789abcdef"
HOSTILE = "<script>alert(1)</script>\x1b[31m\r\nx: y"


class Shelf:
    """The reading half of a store, over lists."""

    def __init__(self):
        head = b"POST /hooks/acme?x=1\n192.0.2.7\ncontent-type: application/json"
        payload = b'{"hello": "<script>"}'
        self.stored = {EVENT: StoredEvent(EVENT, "acme", "main", HOSTILE, "1", None, 1000, head, payload, None)}
        self.rows = [EventRow(EVENT, "acme", "main", HOSTILE, "1", 1000, None, None, 1, 0, 1, None)]
        self.duties = [
            DeliveryRow(EVENT, 0, "acme", HOSTILE, "all", "crm", "dead", None, 3, 3, 0, 2000, None, "500 Server Error")
        ]
        self.queries = []
        self.operator = self

    async def audit(self, before, limit):
        return [AuditRow(1, 1000, "uid 0 (root)", "retry", HOSTILE, 3, "")]

    async def event(self, event_id):
        return self.stored.get(event_id)

    async def events(self, query):
        self.queries.append(query)
        return self.rows[: query.limit]

    async def deliveries(self, query):
        self.queries.append(query)
        return [row for row in self.duties if query.event_id in {None, row.event_id}][: query.limit]

    async def attempts(self, event_id, n):
        return [AttemptRow(1500, 12, "retry", "500 Server Error")]


class MemoryDesk:
    """`Desk` that remembers; it answers in shares of two while `shares` has more."""

    def __init__(self, asked):
        self.asked = asked
        self.count = 3
        self.shares = []
        self.replay_kept = Replay("r1", 1000, "uid 0 (root)", ReplayPlan(EventFilter(source="acme")).write(), events=1)

    async def retry(self, order, asker):
        return self._share("retry", order, asker)

    async def cancel(self, order, asker):
        return self._share("cancel", order, asker)

    def _share(self, verb, order, asker):
        self.asked.append((verb, order))
        self.asker = asker
        return Progress(2, self.shares.pop(0)) if self.shares else Progress(self.count, None)

    async def count_events(self, chosen, after):
        self.asked.append(("count", chosen, after))
        return EventProgress(self.count, None)

    async def replay(self, replay_id, plan, asker):
        self.asked.append(("replay", replay_id, plan))
        if plan.targets == ("gone",):
            raise NotPossibleError("its payload is no longer kept", "hookgate events list")
        return ReplayStatus(self.replay_kept._replace(id=replay_id, state="done", added=2, ended_at=2000), "")

    async def replays(self, limit):
        return [ReplayStatus(self.replay_kept, "4000 deliveries wait for crm already")]

    async def find_replay(self, replay_id):
        return ReplayStatus(self.replay_kept, "")

    async def cancel_replay(self, replay_id, reason, asker):
        self.asked.append(("cancel replay", replay_id, reason))
        return ReplayStatus(self.replay_kept._replace(state="cancelled", reason=reason, ended_at=2000), "")


class MemoryDaemon:
    """`Operations` that remembers."""

    def __init__(self):
        self.store = Shelf()
        self.asked = []
        self.desk = MemoryDesk(self.asked)
        self.reasons = []
        self.missed = []
        crm = TargetStatus("crm", "http", (), 0, 0, 1, None, "500", 2000, None, "hookgate retry --target crm")
        self.targets = [crm]
        self.reload_result = ReloadResult(True, 5000, ["target crm changed"])

    async def status(self):
        return Status(
            at=6000,
            version="0.1.0",
            pid=7,
            started_at=0,
            config_path="config.toml",
            config_digest="abc",
            last_reload=None,
            not_ready=self.reasons,
            ingress=IngressStatus(["127.0.0.1:8080"], 2, 5, 1, 0, {"bad_token": 3}, 5000, {"unmatched": 4}),
            store=StoreStatus("/srv/hookgate.db", True, "", 1.0, 0, 0, 10**9, 10**6),
            sources=[SourceStatus("asana", "asana", "/hooks/asana", None, 0, 0, 0, {}, ())],
            targets=self.targets,
        )

    def ready(self):
        return self.reasons

    async def reload(self):
        self.asked.append(("reload",))
        return self.reload_result

    async def misses(self, event_id):
        return self.missed

    async def fields(self, event_id):
        return {"state": "completed"}

    async def learn(self, source, credential, seconds, asker):
        self.asked.append(("learn", source, credential, seconds, asker))
        return LearningStatus(False, seconds, "/var/lib/hookgate/learned/asana.main")

    async def hold(self, target, reason):
        self.asked.append(("hold", target, reason))
        return True

    async def release(self, target, reason):
        self.asked.append(("release", target, reason))
        return True

    async def enable(self, target, reason):
        self.asked.append(("enable", target, reason))
        return False

    async def render_metrics(self):
        return b"hookgate_info 1.0\n"
