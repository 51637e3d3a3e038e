"""Kinds of targets and verification schemes: loaded when the configuration names them, their options checked."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Generic, Literal, TypeVar

from pydantic import ValidationError

from gateway.config.lines import Path
from gateway.config.problems import Report
from gateway.config.references import References
from gateway.config.sentences import did_you_mean
from gateway.errors import PluginError
from gateway.plugin import Options, kind_names, load_kinds

KindT = TypeVar("KindT")


class Kinds(Generic[KindT]):
    """The kinds of one entry-point group; nothing is imported before the configuration names it."""

    def __init__(self, group: Literal["targets", "verifiers"], word: str, report: Report) -> None:
        self._group = group
        self._word = word
        self._report = report
        self._loaded: dict[str, KindT | None] = {}

    def find(self, name: str, path: Path) -> KindT | None:
        """Give the kind `name`, named at `path`; None if there is no sound one, which is then reported."""
        if name not in self._loaded:
            self._loaded[name] = self._load(name, path)
        return self._loaded[name]

    def names_text(self) -> str:
        """List what is installed, for messages."""
        return f"installed are {', '.join(kind_names(self._group))}"

    def _load(self, name: str, path: Path) -> KindT | None:
        try:
            kinds: Mapping[str, KindT] = load_kinds(self._group, {name})
        except PluginError as error:
            self._report.add(path, str(error))
            return None
        if name not in kinds:
            hint = did_you_mean(name, kind_names(self._group)) or f"; {self.names_text()}"
            self._report.add(path, f'unknown {self._word} "{name}"{hint}')
        return kinds.get(name)

    def options(
        self,
        form: type[Options],
        table: dict[str, Any],
        path: Path,
        also_known: Iterable[str],
        references: References | None = None,
    ) -> Options | None:
        """Check `table`, which stands at `path`, against a kind's options; None if it does not fit, which is reported.

        `also_known` are the keys that may stand beside the options; `references` reads what they refer to.
        """
        try:
            return form.model_validate_json(json.dumps(table), strict=True, context=references)
        except ValidationError as error:
            self._report.add_invalid(error, table, form.model_json_schema(), path, also_known)
            return None
