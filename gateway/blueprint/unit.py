"""What the hardened systemd unit lacks for a configuration, as lines of drop-ins, each with its reason.

Judges what is written and what this process's user may open; whoever wants the service's judgement becomes its user
first. Knows systemd/hookgate.service by the few facts below, which a test compares with that file. Changes nothing.
"""

import os
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path as File
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from gateway.config.address import Address
from gateway.config.lines import Path
from gateway.config.load import Loaded
from gateway.config.model_targets import SendTemplate
from gateway.config.problems import path_text
from gateway.config.secrets import SecretReference, read_secret

SERVICE: Final = "hookgate.service"
SOCKET: Final = "hookgate.socket"
SOCKET_NAME: Final = "hookgate-http"
USER: Final = "hookgate"
STATE: Final = "/var/lib/hookgate"
LOGS: Final = "/var/log/hookgate"
RUNTIME: Final = "/run/hookgate"
CONFIGURATION: Final = "/etc/hookgate"
ENVIRONMENT: Final = {
    "STATE_DIRECTORY": STATE,
    "LOGS_DIRECTORY": LOGS,
    "RUNTIME_DIRECTORY": RUNTIME,
    "CONFIGURATION_DIRECTORY": CONFIGURATION,
}
"""What the unit sets, by which a configuration is judged."""
DENIED: Final = (ip_network("169.254.0.0/16"), ip_network("fe80::/10"))
HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp", "/etc/ssh")  # noqa: S108 - names, nothing is made
EXEC_UNIT: Final = "hookgate-exec.socket"
_OWN: Final = (STATE, LOGS, RUNTIME)


class Lack(NamedTuple):
    """One thing the unit, or the machine, does not have yet."""

    place: str
    """The key that asks for it."""
    why: str
    unit: str = ""
    """Whose drop-in the lines belong to; empty if a person must do something else, which `why` tells."""
    lines: tuple[str, ...] = ()


def unit_lacks(loaded: Loaded) -> list[Lack]:
    """Tell all that `loaded`, read under `ENVIRONMENT`, needs beyond the unit as it is shipped."""
    judge = _Judge(loaded)
    return list(dict.fromkeys(judge.lacks()))


class _Judge:
    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._config = loaded.config
        self._places = loaded.places

    def lacks(self) -> Iterator[Lack]:
        yield from self._listeners()
        yield from self._store()
        yield from self._references(self._loaded.data, ())
        yield from self._read_files()
        for name, target in self._config.targets.items():
            options = target.__pydantic_extra__ or {}
            path: Path = ("targets", name)
            if target.type == "file":
                yield from self._file_target(path, options)
            elif target.type == "shell":
                yield from self._shell_target(path, options)
            elif isinstance(url := options.get("url"), str):
                yield from self._url((*path, "url"), url)

    def _listeners(self) -> Iterator[Lack]:
        admin = [self._config.admin.bind] if self._config.admin.bind else []
        binds = [(("server", "bind", n), each) for n, each in enumerate(self._config.server.bind)]
        for path, address in [*binds, *((("admin", "bind"), each) for each in admin)]:
            place = path_text(path)
            if address.kind == "unix":
                yield from self._writes(path, File(address.name).parent, "a socket of our own there")
            elif address.kind == "fd" and address.name != SOCKET_NAME:
                why = f"a socket unit of yours must hand it over: FileDescriptorName={address.name}, Service={SERVICE}"
                yield Lack(place, why)
            elif address.kind == "tcp":
                yield from _tcp(place, address, admin=path[0] == "admin")

    def _store(self) -> Iterator[Lack]:
        folder = (self._places.state / self._config.store.sqlite).parent
        yield from self._writes(("store", "sqlite"), folder, "the store is there")

    def _references(self, value: Any, path: Path) -> Iterator[Lack]:  # noqa: ANN401 - whatever TOML can hold
        """Find every secret, wherever it is referred to, also in the options of plugins."""
        if isinstance(value, dict):
            if len(value) == 1 and isinstance(next(iter(value.values())), str):
                yield from self._secret(value, path)
            for key, below in value.items():
                yield from self._references(below, (*path, key))
        elif isinstance(value, list):
            for number, below in enumerate(value):
                yield from self._references(below, (*path, number))

    def _secret(self, table: Mapping[str, str], path: Path) -> Iterator[Lack]:
        (kind, name), place = next(iter(table.items())), path_text(path)
        if kind == "credential":
            source = f"{CONFIGURATION}/credentials/{name}"
            yield Lack(place, f"from {source}, root's, mode 0600", SERVICE, (f"LoadCredential={name}:{source}",))
        elif kind == "env":
            line = f"EnvironmentFile={CONFIGURATION}/environment"
            yield Lack(place, f"with {name}=… in it; a credential would not be seen by children", SERVICE, (line,))
        elif kind == "file" and path[-1] in {"secret", "token", "password"}:
            try:
                folder = self._places.beside_config(self._config.secrets.folder)
                read_secret(SecretReference(file=name), self._places, folder)
            except ValueError as error:
                yield Lack(place, str(error))

    def _read_files(self) -> Iterator[Lack]:
        for number, file in enumerate(self._loaded.files):
            yield from _reads(("include",) if number else (), file)
        if tls := self._config.server.tls:
            for key in ("cert", "key"):
                yield from _reads(("server", "tls", key), self._places.beside_config(getattr(tls, key)))
        for name, target in self._config.targets.items():
            for place in (("tls", "ca"), ("tls", "cert"), ("tls", "key"), ("auth", "oauth2", "ca")):
                written: Any = target.__pydantic_extra__
                for key in place:
                    written = written.get(key) if isinstance(written, dict) else None
                if isinstance(written, str):
                    yield from _reads(("targets", name, *place), File(written))
            if isinstance(target.send, SendTemplate):
                yield from _reads(("targets", name, "send"), self._places.beside_config(target.send.template))

    def _file_target(self, path: Path, options: Mapping[str, Any]) -> Iterator[Lack]:
        key = "path" if "path" in options else "folder"
        written = self._places.in_state(str(options.get(key, "")))
        yield from self._writes((*path, key), written.parent if key == "path" else written, "it writes there")
        if "group" in options:
            yield Lack(
                path_text((*path, "group")),
                "the unit sees no group but its own, and may not change a file's",
                SERVICE,
                (f"SupplementaryGroups={options['group']}", "PrivateUsers=no", "SystemCallFilter=@chown"),
            )

    def _shell_target(self, path: Path, options: Mapping[str, Any]) -> Iterator[Lack]:
        place, where = path_text(path), options.get("exec")
        if where == "daemon":
            why = "its program runs inside the hardened unit and can read the daemon's secrets; better without exec ="
            yield Lack(f"{place}.exec", why)
        elif not os.path.exists(socket := str(where or "unix:/run/hookgate-exec.sock").removeprefix("unix:")):  # noqa: PTH110
            yield Lack(place, f"there is no {socket}: sudo systemctl enable --now {EXEC_UNIT}, or another exec unit")

    def _url(self, path: Path, url: str) -> Iterator[Lack]:
        place = path_text(path)
        if url.startswith("unix:"):
            socket = url.removeprefix("unix:").partition(":")[0]
            if hidden := _hidden(File(socket)):
                yield Lack(place, f"{hidden} is hidden from the unit", SERVICE, _uncover(File(socket).parent, hidden))
            elif os.path.exists(socket) and not os.access(socket, os.W_OK):  # noqa: PTH110
                yield Lack(place, f"the user may not connect to {socket}: its group would do (SupplementaryGroups=)")
            return
        try:
            address = ip_address(urlsplit(url).hostname or "")
        except ValueError:
            return
        if any(address in network for network in DENIED):
            yield Lack(place, "link-local addresses are denied", SERVICE, (f"IPAddressAllow={address}",))

    def _writes(self, path: Path, folder: File, why: str) -> Iterator[Lack]:
        """Judge a folder in which something is made; one of the unit's own needs nothing."""
        folder = File(os.path.normpath(folder))
        if any(folder.is_relative_to(own) for own in _OWN):
            return
        place = path_text(path)
        if hidden := _hidden(folder):
            why = f"{why}, and {hidden} is hidden from the unit: better below {LOGS}"
            yield Lack(place, why, SERVICE, _uncover(folder, hidden))
        else:
            yield Lack(place, why, SERVICE, (f"ReadWritePaths={folder}",))
        if not folder.is_dir():
            yield Lack(place, f"{folder} is not there: sudo install -d -o {USER} -g {USER} -m 0750 {folder}")
        elif not os.access(folder, os.W_OK | os.X_OK):
            yield Lack(place, f"the user may not write into {folder}: sudo chown {USER} {folder}, or let its group")


def _tcp(place: str, address: Address, *, admin: bool) -> Iterator[Lack]:
    if admin:
        if address.port < 1024:
            yield Lack(place, "the unit may not open ports below 1024: choose a higher one")
        return
    if address.port < 1024:
        lines = ("ListenStream=", f"ListenStream={address}")
        why = f'the unit may not open ports below 1024, its socket unit may; write bind = ["fd:{SOCKET_NAME}"]'
        yield Lack(place, why, SOCKET, lines)
    else:
        why = f'a restart refuses connections: write "fd:{SOCKET_NAME}", or sudo systemctl mask --now {SOCKET}'
        yield Lack(place, why)


def _reads(path: Path, file: File) -> Iterator[Lack]:
    place = path_text(path) or str(file)
    if hidden := _hidden(file):
        yield Lack(place, f"{hidden} is hidden from the unit: move {file} below {CONFIGURATION}")
    elif not os.access(file, os.R_OK):
        yield Lack(place, f"the user may not read {file}: sudo chgrp {USER} and chmod 0640, and 0750 for its folder")


def _uncover(folder: File, hidden: str) -> tuple[str, ...]:
    home = ("ProtectHome=tmpfs",) if hidden in {"/home", "/root", "/run/user"} else ()
    return (*home, f"BindPaths={folder}")


def _hidden(path: File) -> str:
    absolute = File(os.path.abspath(path))  # noqa: PTH100 - links are not followed: what is written counts
    return next((top for top in HIDDEN if absolute.is_relative_to(top)), "")
