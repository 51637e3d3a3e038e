"""Where kinds come from: the gateway itself, installed distributions, and files in the plugins folder.

Nothing is imported before it is asked for by name. A file is taken only if nobody but root and ourselves could have
written it: what it says runs with our rights.
"""

import os
import re
import stat
from collections.abc import Iterable
from functools import cached_property
from hashlib import blake2b
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway.errors import PluginError
from gateway.plugin import Group, TargetKind, TransformKind, VerifierKind

OWN_DISTRIBUTION: Final = "hookgate"
GROUPS: Final[tuple[Group, ...]] = ("targets", "verifiers", "transforms")
KINDS: Final[dict[Group, type]] = {"targets": TargetKind, "verifiers": VerifierKind, "transforms": TransformKind}

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")


class Provider(NamedTuple):
    """Who provides a kind; plain values, so that it can be told to a worker."""

    group: Group
    name: str
    origin: str
    """For people: "hookgate 0.1.0", "file /etc/hookgate/plugins/crm.py"."""
    built_in: bool
    entry: str
    """The entry point's value, "module:attribute"; empty for a file."""
    file: str
    """The file's path; empty for an entry point."""
    digest: str
    """Equal digests = the same code, as far as one can see from outside."""


class Catalogue:
    """What is installed and what lies in the plugins folder, as of its making."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Where files may lie; perhaps it is not there."""

    @cached_property
    def _installed(self) -> dict[tuple[Group, str], list[Provider]]:
        found: dict[tuple[Group, str], list[Provider]] = {}
        for group in GROUPS:
            for entry in entry_points(group=f"hookgate.{group}"):
                provider = _installed_provider(group, entry)
                known = found.setdefault((group, entry.name), [])
                if provider not in known:
                    known.append(provider)
        return found

    def installed(self) -> Iterable[Provider]:
        """Give every installed kind, built-in ones included."""
        return sorted(provider for each in self._installed.values() for provider in each)

    def files(self) -> list[str]:
        """Name the kinds that files could provide; an unreadable folder has none."""
        return sorted(path.stem for path in self.folder.glob("*.py"))

    def names(self, group: Group) -> list[str]:
        """Name all that could be written for `group`, for messages."""
        return sorted({*(name for each, name in self._installed if each == group), *self.files()})

    def find(self, group: Group, name: str) -> Provider | None:
        """Tell who provides a kind; None if nobody does.

        Built-in kinds cannot be replaced. Raises PluginError if two others provide it, or a file cannot be trusted.
        """
        installed = self._installed.get((group, name), [])
        own = [provider for provider in installed if provider.built_in]
        if own:
            return own[0]
        file = self.folder / f"{name}.py"
        found = [*installed, *([_file_provider(group, name, file)] if _NAME.fullmatch(name) and file.exists() else [])]
        if len(found) > 1:
            places = " and ".join(provider.origin for provider in found)
            raise PluginError(f"{group[:-1]} {name!r} is provided twice, by {places}: remove one of them")
        return found[0] if found else None


def load(provider: Provider) -> Any:  # noqa: ANN401 - one of KINDS
    """Import a kind into this process. Raises PluginError that tells what its author must change."""
    try:
        kind = _from_file(provider) if provider.file else _from_entry(provider)
    except PluginError:
        raise
    except BaseException as error:  # an import may also exit
        text = f"{type(error).__name__}: {error}"[:300]
        raise PluginError(f"plugin {provider.name!r} ({provider.origin}) cannot be imported: {text}") from error
    if not isinstance(kind, KINDS[provider.group]):
        raise PluginError(
            f"plugin {provider.name!r} ({provider.origin}) is no {KINDS[provider.group].__name__}: "
            f"mark it with @gateway.plugin.{provider.group[:-1]}"
        )
    return kind


def _from_entry(provider: Provider) -> object:
    return EntryPoint(provider.name, provider.entry, f"hookgate.{provider.group}").load()


def _from_file(provider: Provider) -> object:
    spec = spec_from_file_location(f"hookgate_plugin_{provider.name}", provider.file)
    if spec is None or spec.loader is None:
        raise PluginError(f"{provider.file} is no Python file")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    wanted = KINDS[provider.group]
    kinds = [value for name, value in vars(module).items() if isinstance(value, wanted) and not name.startswith("_")]
    if len(kinds) != 1:
        raise PluginError(
            f"{provider.file}: expected one {provider.group[:-1]}, marked with @gateway.plugin.{provider.group[:-1]}, "
            f"found {len(kinds)}"
        )
    return kinds[0]


def _installed_provider(group: Group, entry: EntryPoint) -> Provider:
    dist = entry.dist
    name, version = (dist.name, dist.version) if dist is not None else ("?", "?")
    origin = f"{name} {version}"
    return Provider(group, entry.name, origin, name == OWN_DISTRIBUTION, entry.value, "", f"{origin} {entry.value}")


def _file_provider(group: Group, name: str, file: Path) -> Provider:
    for place in (file.parent, file):
        _check_trusted(place)
    try:
        digest = blake2b(file.read_bytes(), digest_size=16).hexdigest()
    except OSError as error:
        raise PluginError(f"plugin file {file}: {error.strerror}: make it readable for the service") from None
    return Provider(group, name, f"file {file}", False, "", str(file.absolute()), digest)


def _check_trusted(place: Path) -> None:
    try:
        status = place.stat()
    except OSError as error:
        raise PluginError(f"plugin file {place}: {error.strerror}: make it readable for the service") from None
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise PluginError(f"plugin file {place}: expected a regular file, found something else")
    if status.st_uid not in {0, os.geteuid()}:
        raise PluginError(
            f"plugin file {place} belongs to user {status.st_uid}, who could change what we run: chown root {place}"
        )
    if status.st_mode & 0o022:
        mode = stat.S_IMODE(status.st_mode)
        raise PluginError(
            f"plugin file {place}: expected nobody but its owner to be able to write, found mode {mode:04o}: "
            f"chmod go-w {place}"
        )
