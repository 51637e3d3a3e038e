"""The disk under the store: what a kill, a failed commit or a full disk does to the statements of the writer.

It hears each statement of each connection before it is carried out (`apsw.connection_hooks`), so it can end the process
between any two of them, let a COMMIT fail with either outcome, or find no room. After the end of a life nothing of it
is carried out any more: what was not committed is rolled back when its connection is closed, as after `kill -9`.
"""

import os
from contextlib import contextmanager

import apsw

from harness.simulation.journal import Journal

ROOMY = 1 << 40
WRITES = ("INSERT", "UPDATE", "DELETE", "WITH new", "WITH chosen")


class KilledError(apsw.IOError):
    """The process is dead: its statements do nothing."""


class Disk:
    """One per run, over all lives."""

    def __init__(self, folder, world):
        self._folder = str(folder)
        self._world = world
        self.journal = Journal(world)
        self.free = ROOMY
        self.full = False
        self.kill_at = None
        """In how many statements of the writer the process is killed."""
        self.kill_commit = None
        """"before" or "after": the next COMMIT of anything that changes is where the process is killed."""
        self.fail_commit = None
        """"lost" or "kept": the next such COMMIT says that it failed, and its work is lost, or not."""

    @contextmanager
    def under(self):
        """Be the disk for as long as the block runs."""
        statvfs = os.statvfs
        apsw.connection_hooks.append(self._adopt)
        os.statvfs = lambda path: self._room(statvfs(path), path)
        try:
            yield
        finally:
            os.statvfs = statvfs
            apsw.connection_hooks.remove(self._adopt)

    def _room(self, found, path):
        if not str(path).startswith(self._folder):
            return found
        values = list(found)
        values[0] = values[1] = 4096
        values[3] = values[4] = self.free // 4096
        return os.statvfs_result(values)

    def _adopt(self, connection):
        life = self._world.life
        if life is None or not connection.filename.startswith(self._folder):
            return
        writes = bool(connection.open_flags & apsw.SQLITE_OPEN_CREATE)
        connection.set_exec_trace(Statements(self, life, connection, writes=writes))


class Statements:
    """Hears the statements of one connection; whatever it raises is what the statement raises."""

    def __init__(self, disk, life, connection, *, writes):
        self._disk = disk
        self._life = life
        self._connection = connection
        self._writes = writes
        self._watched = False
        self._ours = False

    def __call__(self, _cursor, sql, bindings):
        if self._ours:
            return True
        disk, life = self._disk, self._life
        if life.dead:
            raise KilledError("the process was killed")
        if self._writes:
            self._hear(disk, sql, bindings)
        return True

    def _hear(self, disk, sql, bindings):
        disk._world.trace.note(f"{sql}{bindings!r}".encode())
        if disk.kill_at is not None:
            self._count_down(sql)
        if sql == "BEGIN IMMEDIATE":
            self._begin()
        elif sql == "COMMIT":
            self._commit()
        elif sql == "ROLLBACK":
            disk.journal.rolled_back()
        elif sql.startswith(("SAVEPOINT", "ROLLBACK TO")):
            disk.journal.savepoint(back=sql.startswith("ROLLBACK"))
        elif disk.full and sql.startswith(WRITES):
            raise apsw.FullError("database or disk is full")

    def _count_down(self, sql):
        self._disk.kill_at -= 1
        if self._disk.kill_at < 0:
            self._disk.kill_at = None
            self._kill(f"at {sql[:40]!r}")

    def _begin(self):
        if not self._watched:
            self._watched = self._by_ourselves(lambda: self._disk.journal.watch(self._connection))
        self._disk.journal.rolled_back()

    def _commit(self):
        disk = self._disk
        if disk.full and disk.journal.has_changes:
            raise apsw.FullError("database or disk is full")
        if disk.journal.has_changes:
            kill, disk.kill_commit = disk.kill_commit, None
            fail, disk.fail_commit = disk.fail_commit, None
            if kill == "before":
                self._kill("before COMMIT")
            if fail == "lost":
                self._fail()
            if kill or fail:
                self._by_ourselves(lambda: self._connection.execute("COMMIT"))
                disk.journal.committed()
                if fail:
                    self._fail()
                self._kill("after COMMIT")
        disk.journal.committed()

    def _fail(self):
        self._disk._world.trace.say("disk: COMMIT fails")
        self._life.expected_end = "a commit failed"
        raise apsw.IOError("disk I/O error")

    def _kill(self, where):
        self._life.kill(where)
        raise KilledError("the process was killed")

    def _by_ourselves(self, act):
        self._ours = True
        try:
            return act()
        finally:
            self._ours = False
