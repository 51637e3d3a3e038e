"""A small disk of the daemon's own, in a mount namespace over one folder: nothing of the machine is filled.

It ends with the process (`on_small_disk`), or is kept over the lives of many (`kept_disk`: what `kill -9` leaves is
there for the next). From outside the folder is seen through a process, by `inside`.
"""

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

MOUNTS = {
    "tmpfs": 'mount -t tmpfs -o size="$1" none "$0"',
    "ext4": 'truncate -s "$1" "$0.img" && mkfs.ext4 -q -F -m 0 "$0.img" && mount -o loop "$0.img" "$0"',
}
BLOCK = 4096


def mounts_work(kind="tmpfs"):
    """True if such a disk can be mounted here."""
    command = "mount -t tmpfs -o size=64m none /mnt && mkdir /mnt/disk && set -- 16m && "
    return all(shutil.which(each) for each in ("unshare", "nsenter")) and _succeeds(
        "unshare", "-m", "sh", "-c", command + MOUNTS[kind].replace("$0", "/mnt/disk")
    )


def _succeeds(*command):
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def on_small_disk(folder, size):
    """Give what stands before a command so that `folder` is a disk of `size` for it."""
    return ("unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size={size} none "$0" && exec "$@"', str(folder))


def inside(pid, folder):
    """Give `folder` as the process sees it."""
    return Path(f"/proc/{pid}/root{folder}")


class KeptDisk:
    """A disk that outlives its daemons."""

    def __init__(self, holder, folder):
        self.before = ("nsenter", f"--mount=/proc/{holder}/ns/mnt", "--")
        """What stands before the command of a process that shall have it."""
        self.folder = inside(holder, folder)
        """Where we see it."""


@contextmanager
def kept_disk(folder, size, kind="tmpfs"):
    """Have a disk of `size` at `folder` for the length of a block."""
    command = ["unshare", "-m", "sh", "-c", f"{MOUNTS[kind]} && echo && exec cat", str(folder), size]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        if not holder.stdout.read(1):
            raise OSError(f"no {kind} of {size} could be mounted at {folder}")
        yield KeptDisk(holder.pid, folder)


def fill(folder, leave=0):
    """Take all space but `leave` bytes; give the file to unlink."""
    filler, piece = folder / "filler", 1 << 40
    with filler.open("ab") as file:
        while piece >= BLOCK:
            free = os.statvfs(folder)
            size, piece = os.fstat(file.fileno()).st_size, min(piece, free.f_bavail * free.f_frsize - leave)
            try:
                if piece > 0:
                    os.posix_fallocate(file.fileno(), size, piece)
            except OSError:
                piece //= 2
    return filler
