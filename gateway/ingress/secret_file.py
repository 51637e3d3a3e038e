"""Keeps secrets that were learned: a file each, mode 0600, either whole or not there."""

import hmac
import os
from pathlib import Path

from gateway.store.disk import fsync_folder


def write_secret(file: Path, secret: bytes) -> None:
    """Write `secret` in the place of what `file` held; durable on return. Raises OSError: then it holds what it held.

    A crash may leave a file that ends in `.new`; the next write takes its place.
    """
    if not file.parent.is_dir():
        file.parent.mkdir(mode=0o700)
        fsync_folder(file.parent.parent)
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as written:
        written.write(secret)
        written.flush()
        os.fsync(descriptor)
    new.replace(file)
    fsync_folder(file.parent)


def is_kept(file: Path, secret: bytes) -> bool:
    """Tell whether `file` holds `secret`; False if it cannot be read."""
    try:
        return hmac.compare_digest(file.read_bytes(), secret)
    except OSError:
        return False


def rename_secret(former: Path, file: Path) -> bool:
    """Give a secret its owner's new name, unless that has one; durable on return. Raises OSError."""
    if file.exists() or not former.exists():
        return False
    former.rename(file)
    fsync_folder(file.parent)
    return True
