"""What the store has committed, row by row, as temporary triggers on the writer's own connection tell it.

It is told of changes when they are made and believes them at COMMIT. At each start, and at the end, what the file holds
must be what was committed before: that is durability; and each change must be one that the life of a delivery allows.
"""

from itertools import count

import apsw

PENDING, IN_FLIGHT, DELIVERED, DEAD, CANCELLED = range(5)
STATES = ("pending", "in_flight", "delivered", "dead", "cancelled")
LEGAL = {
    (PENDING, IN_FLIGHT),
    (PENDING, CANCELLED),
    (IN_FLIGHT, PENDING),
    (IN_FLIGHT, DELIVERED),
    (IN_FLIGHT, DEAD),
    (IN_FLIGHT, CANCELLED),
    (DEAD, PENDING),
    (DEAD, CANCELLED),
}
DELIVERY = ("event", "n", "target", "state", "due", "epoch", "claims", "attempts", "interrupted", "settled_at")
DELIVERY += ("replay", "waited", "expires_at", "okey")
TABLES = {
    "name": ("id", "kind", "text"),
    "request": ("id", "body"),
    "event": ("id", "request", "source", "hold", "accepted_at"),
    "delivery": DELIVERY,
    "gate": ("target", "kind", "until"),
    "attempt": ("event", "n", "try", "outcome", "reason"),
}
KEYS = {"name": 1, "request": 1, "event": 1, "delivery": 2, "gate": 2, "attempt": 3}
TARGET_NAMES = 6


class Delivery:
    """One delivery as it is committed, and when it may be tried again."""

    __slots__ = ("cells", "claimed", "not_before", "planned", "revived", "said", *DELIVERY)

    def __init__(self, cells, rank):
        self.planned = self.claimed = rank
        """Which change of all planned it, and which claimed it last."""
        self.not_before = 0.0
        """On the clock that never steps: when the wait that it was last given is over."""
        self.said = None
        """What its target answered last, and to which life of the daemon."""
        self.revived = False
        """True: it was dead, and what came after it of its key may have passed it."""
        self.use(cells)

    def use(self, cells):
        """Be as these columns say."""
        self.cells = cells
        (
            self.event, self.n, self.target, self.state, self.due, self.epoch, self.claims, self.attempts,
            self.interrupted, self.settled_at, self.replay, self.waited, self.expires_at, self.okey,
        ) = cells  # fmt: skip


class Journal:
    """The committed rows of `TABLES`."""

    def __init__(self, world):
        self._world = world
        self.rows = {table: {} for table in TABLES}
        self.deliveries = {}
        self.of = {}
        """Deliveries by event and number of the target."""
        self.lines = {}
        """Deliveries by number of the target and order key."""
        self.reasons = {}
        """What the last transaction told of ends of deliveries; retention may have taken the rows in it, too."""
        self.bodies = set()
        """Of all requests that ever were committed."""
        self._ranks = count()
        self._told = []
        self._mark = 0

    @property
    def has_changes(self):
        """True if the transaction under way changes any of it."""
        return bool(self._told)

    def watch(self, connection):
        """Be told of what this connection changes; False before there is anything to change."""
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
        if not tables.issuperset(TABLES):
            return False
        connection.create_scalar_function("tell", self._tell, -1, flags=apsw.SQLITE_INNOCUOUS)
        for table, columns in TABLES.items():
            new = ", ".join(f"NEW.{column}" for column in columns)
            old = ", ".join(f"OLD.{column}" for column in columns[: KEYS[table]])
            for verb, row in (("INSERT", new), ("UPDATE", new), ("DELETE", old)):
                connection.execute(
                    f"CREATE TEMP TRIGGER told_{table}_{verb} AFTER {verb} ON main.{table} "
                    f"BEGIN SELECT tell('{table}', '{verb}', {row}); END"
                )
        return True

    def _tell(self, *told):
        self._told.append(told)

    def rolled_back(self):
        """Nothing of the transaction under way counts."""
        self._told.clear()

    def savepoint(self, *, back):
        """Remember where the transaction is, or go back there."""
        if back:
            del self._told[self._mark :]
        self._mark = len(self._told)

    def committed(self):
        """Believe what was told."""
        told, self._told = self._told, []
        self.reasons = {tuple(row[:2]): row[4] for table, verb, *row in told if (table, verb) == ("attempt", "INSERT")}
        for table, verb, *row in told:
            key = tuple(row[: KEYS[table]])
            if table == "delivery":
                self._change(verb, key, tuple(row))
            elif verb == "DELETE":
                self.rows[table].pop(key, None)
            else:
                self.rows[table][key] = tuple(row)
                if table == "request":
                    self.bodies.add(row[1])
            if table == "gate":
                self._world.trace.say(f"store: gate of {self.name(row[0])}: {verb} {row[1:]}")
            elif table == "event" and verb == "INSERT":
                self._world.checker.accepted(*row)
        if told:
            self._world.checker.committed()

    def _change(self, verb, key, cells):
        known = self.deliveries.get(key)
        checker = self._world.checker
        if verb == "DELETE":
            checker.removed(known)
            del self.deliveries[key]
            self.of[known.event, known.target].remove(known)
            self._leave_line(known)
        elif known is None:
            known = self.deliveries[key] = Delivery(cells, next(self._ranks))
            self.of.setdefault((known.event, known.target), []).append(known)
            self._enter_line(known)
            checker.planned(known)
        else:
            before, line, claims = known.state, known.okey, known.claims
            if line != cells[-1]:
                self._leave_line(known)
            known.use(cells)
            if claims < known.claims:
                known.claimed = next(self._ranks)
            if line != known.okey:
                self._enter_line(known)
            if before != known.state:
                checker.changed(known, before)

    def _enter_line(self, known):
        if known.okey is not None:
            self.lines.setdefault((known.target, known.okey), []).append(known)

    def _leave_line(self, known):
        if known.okey is not None:
            self.lines[known.target, known.okey].remove(known)

    def name(self, number):
        """Give the name of a target's number."""
        row = self.rows["name"].get((number,))
        return row[2] if row else "?"

    def number(self, place):
        """Give the number of the target that leads to a place, whatever its name; None if it has none.

        A renaming whose commit failed may have happened: then there is another, whose name no configuration has.
        """
        names = {target.name for settings in self._world.possible for target in settings.targets}
        numbers = [
            (text in names, number)
            for number, kind, text in self.rows["name"].values()
            if kind == TARGET_NAMES and text.rstrip("x") == place
        ]
        return max(numbers)[1] if numbers else None

    def compare(self, path):
        """Tell what the file holds that was not committed, or lacks that was; empty if nothing."""
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return [text for table in TABLES for text in self._differences(connection, table)]
        finally:
            connection.close()

    def _differences(self, connection, table):
        columns = ", ".join(TABLES[table])
        found = {row[: KEYS[table]]: row for row in connection.execute(f"SELECT {columns} FROM {table}")}
        known = self.rows[table] if table != "delivery" else {key: one.cells for key, one in self.deliveries.items()}
        for key in sorted(found.keys() | known.keys()):
            if found.get(key) != known.get(key):
                yield f"{table} {key}: committed {known.get(key)}, found {found.get(key)}"
