"""Secrets by reference: a file in the secrets folder, a credential of systemd, or an environment variable.

A secret never stands in the configuration and never in a message, repr or log; problems name the key and the place.
"""

import os
import re
import stat
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, model_validator

from gateway.config.places import Places
from gateway.config.table import Table

SECRET_BYTES_MAX: Final = 64 * 1024
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")


class Secret:
    """A secret's bytes; only `reveal` gives them."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """Give the bytes."""
        return self._value

    def __repr__(self) -> str:
        return "***"


def _check_file_name(name: str) -> str:
    if not _FILE_NAME.fullmatch(name):
        raise ValueError("expected the name of a file in the secrets folder, without any folder: move the file there")
    return name


def _check_variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError("expected the name of an environment variable: letters, digits and _")
    return name


def _check_day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        text = ""
    if len(text) != len("2027-01-31"):
        raise ValueError("expected a day as year-month-day: expires = 2027-01-31")
    return text


class SecretReference(Table):
    """Where a secret is: exactly one of the three. The secret itself is never written here."""

    file: Annotated[str, AfterValidator(_check_file_name)] | None = Field(default=None, examples=["truework-orders"])
    """Name of a file in the secrets folder, mode 0600 (or 0640 with the service's group); read again by a reload."""
    credential: Annotated[str, AfterValidator(_check_file_name)] | None = Field(default=None, examples=["truora"])
    """Name of a credential that systemd hands over (LoadCredential=); a new value needs a restart."""
    env: Annotated[str, AfterValidator(_check_variable)] | None = Field(default=None, examples=["TRUORA_SECRET"])
    """Name of an environment variable; a new value needs a restart."""
    expires: Annotated[str, AfterValidator(_check_day)] | None = Field(default=None, examples=["2027-01-31"])
    """The day on which it ends at whoever issued it; `secret.expiring` is told before (`alerts.expiry`)."""

    @model_validator(mode="before")
    @classmethod
    def _not_inline(cls, data: Any) -> Any:  # noqa: ANN401 - whatever the operator wrote
        if isinstance(data, str) or (isinstance(data, dict) and "inline" in data):
            raise ValueError('a secret is never written here: put it into a file and write { file = "its name" }')
        return data

    @model_validator(mode="after")
    def _exactly_one(self) -> "SecretReference":
        if [self.file, self.credential, self.env].count(None) != 2:
            raise ValueError('expected exactly one of file, credential and env, for example { file = "name" }')
        return self

    @property
    def fixed(self) -> bool:
        """True if a new value needs a restart."""
        return self.file is None

    def __str__(self) -> str:
        return next(f"{kind} {name}" for kind, name in self if name is not None and kind != "expires")


def read_secret(reference: SecretReference, places: Places, folder: Path) -> Secret:
    """Fetch a secret; one newline at the end of a file is no part of it. Raises ValueError, without the value."""
    if reference.env is not None:
        return _checked(_from_environment(reference.env, places), f"environment variable {reference.env}")
    if reference.file is not None:
        return _from_file(folder / reference.file, private=True)
    if places.credentials is None:
        raise ValueError(f'credential "{reference.credential}": $CREDENTIALS_DIRECTORY is not set: use LoadCredential=')
    return _from_file(places.credentials / str(reference.credential), private=False)


def read_learned(path: Path) -> Secret | None:
    """Fetch a secret that the gateway keeps itself; None if there is none yet. Raises ValueError, without the value."""
    try:
        path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"learned secret {path}: {error.strerror}: read it as the service's user") from None
    return _from_file(path, private=True)


def _from_environment(name: str, places: Places) -> bytes:
    value = places.environ.get(name)
    if value is None:
        raise ValueError(f"environment variable {name} is not set: set it for the service and restart")
    return os.fsencode(value)


def _from_file(path: Path, *, private: bool) -> Secret:
    try:
        # Without waiting: a FIFO in the place of a file must not hold the daemon.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ValueError(
            f"secret file {path}: {error.strerror}: create it, mode 0600, readable by the service"
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"secret file {path}: expected a regular file, found something else")
        if private:
            _check_mode(path, status)
        content = file.read(SECRET_BYTES_MAX + 1)
    if len(content) > SECRET_BYTES_MAX:
        raise ValueError(f"secret file {path}: expected at most {SECRET_BYTES_MAX} bytes, found more")
    return _checked(content.removesuffix(b"\n").removesuffix(b"\r"), f"secret file {path}")


def _check_mode(path: Path, status: os.stat_result) -> None:
    """Refuse what others than the owner, root and, for reading, our own group may read or change."""
    mode = stat.S_IMODE(status.st_mode)
    ours = status.st_gid in {os.getegid(), *os.getgroups()}
    allowed = 0o640 if ours else 0o600
    if mode & 0o077 & ~allowed:
        raise ValueError(
            f"secret file {path}: expected mode {allowed:04o} or less, found {mode:04o}: "
            "others could read or change it; chmod 600"
        )


def _checked(value: bytes, where: str) -> Secret:
    if not value:
        raise ValueError(f"{where} is empty: write the secret there")
    if value.endswith((b"\n", b"\r")):
        raise ValueError(f"{where} ends with an empty line: remove it")
    return Secret(value)
