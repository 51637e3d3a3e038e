"""A disk with faults under real SQLite: a VFS that counts calls and fails those it is told to."""

from contextlib import contextmanager

import apsw


class Disk(apsw.VFS):
    """The default VFS while it is used; `fail(call, suffix of the file)` gives the exception to raise, or None."""

    def __init__(self):
        self.name = f"faulty-{id(self)}"
        self.calls = []
        self.fail = lambda call, suffix: None
        self.base = apsw.vfs_names()[0]
        super().__init__(self.name, self.base, makedefault=True)

    def xOpen(self, name, flags):
        return File(self, name, flags)

    def before(self, call, suffix):
        self.calls.append((call, suffix))
        error = self.fail(call, suffix)
        if error is not None:
            raise error


class File(apsw.VFSFile):
    def __init__(self, disk, name, flags):
        self._disk = disk
        text = name.filename() if isinstance(name, apsw.URIFilename) else str(name or "")
        self._suffix = "-wal" if text.endswith("-wal") else "db"
        super().__init__(disk.base, name, flags)

    def xWrite(self, data, offset):
        self._disk.before("write", self._suffix)
        super().xWrite(data, offset)

    def xSync(self, flags):
        self._disk.before("sync", self._suffix)
        super().xSync(flags)

    def xTruncate(self, size):
        self._disk.before("truncate", self._suffix)
        super().xTruncate(size)


@contextmanager
def disk():
    """Stand between SQLite and the real disk."""
    before = apsw.vfs_names()[0]
    shim = Disk()
    try:
        yield shim
    finally:
        shim.unregister()
        assert apsw.vfs_names()[0] == before
