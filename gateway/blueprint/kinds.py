"""Kinds of targets and verification schemes: loaded when the configuration names them, their options checked."""

import json
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from gateway.config.lines import Path
from gateway.config.problems import Report
from gateway.config.references import References
from gateway.config.sentences import did_you_mean
from gateway.errors import PluginError
from gateway.plugin import Group, Options
from gateway.plugin_host.catalogue import Catalogue, Provider, load
from gateway.plugin_host.foreign import raised

KindT = TypeVar("KindT")


class Kinds(Generic[KindT]):
    """The kinds of one group; nothing is imported before the configuration names it."""

    def __init__(self, group: Group, word: str, catalogue: Catalogue, report: Report) -> None:
        self._group = group
        self._word = word
        self._catalogue = catalogue
        self._report = report
        self._loaded: dict[str, KindT | None] = {}

    def find(self, name: str, path: Path) -> KindT | None:
        """Give the kind `name`, named at `path`; None if there is no sound one, which is then reported."""
        if name not in self._loaded:
            self._loaded[name] = self._load(name, path)
        return self._loaded[name]

    def names_text(self) -> str:
        """List what is installed, for messages."""
        return f"installed are {', '.join(self._catalogue.names(self._group))}"

    @property
    def _plugin(self) -> str:
        return f"a plugin of yours is installed, or a file in {self._catalogue.folder}"

    def provider(self, name: str, path: Path) -> Provider | None:
        """Tell who provides the kind `name`, without importing it; None if nobody soundly does, which is reported."""
        try:
            found = self._catalogue.find(self._group, name)
        except PluginError as error:
            self._report.add(path, str(error))
            return None
        if found is None:
            hint = did_you_mean(name, self._catalogue.names(self._group)) or f"; {self.names_text()}; {self._plugin}"
            self._report.add(path, f'unknown {self._word} "{name}"{hint}')
        return found

    def _load(self, name: str, path: Path) -> KindT | None:
        provider = self.provider(name, path)
        try:
            kind: KindT | None = load(provider) if provider is not None else None
        except PluginError as error:
            self._report.add(path, str(error))
            return None
        return kind

    def options(
        self,
        form: type[Options],
        table: dict[str, Any],
        path: Path,
        also_known: Iterable[str],
        references: References | None = None,
    ) -> Options | None:
        """See `checked_options`."""
        return checked_options(form, table, path, also_known, self._report, references)


def checked_options(
    form: type[Options],
    table: dict[str, Any],
    path: Path,
    also_known: Iterable[str],
    report: Report,
    references: References | None = None,
) -> Options | None:
    """Check `table`, which stands at `path`, against a form of options; None if it does not fit, which is reported.

    `also_known` are the keys that may stand beside the options; `references` reads what they refer to.
    """
    try:
        return form.model_validate_json(json.dumps(table, default=str), strict=True, context=references)
    except ValidationError as error:
        report.add_invalid(error, table, form.model_json_schema(), path, also_known)
        return None
    except BaseException as error:  # noqa: BLE001 - a plugin's own checks, in our process
        report.add(path, f"the plugin's options cannot be checked: {raised(error)}")
        return None
