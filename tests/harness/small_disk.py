"""A small disk of the daemon's own: a tmpfs in its mount namespace, over one folder; it ends with the process.

Nothing of the machine is filled. From outside the folder is seen through the process, by `inside`.
"""

import os
import shutil
import subprocess
from pathlib import Path


def mounts_work():
    """True if a tmpfs can be mounted here."""
    command = ["unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


def on_small_disk(folder, size):
    """Give what stands before a command so that `folder` is a disk of `size` for it."""
    return ("unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size={size} none "$0" && exec "$@"', str(folder))


def inside(pid, folder):
    """Give `folder` as the process sees it."""
    return Path(f"/proc/{pid}/root{folder}")


def fill(folder, leave=0):
    """Take all space but `leave` bytes; give the file to unlink."""
    filler = folder / "filler"
    with filler.open("wb") as file:
        try:
            while (free := os.statvfs(folder)).f_bavail * free.f_frsize > leave:
                file.write(b"\0" * min(65536, free.f_bavail * free.f_frsize - leave))
                file.flush()
        except OSError:
            pass
    return filler
