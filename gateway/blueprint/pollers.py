"""Pollers: options checked, rules of items compiled over those of their sources."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from gateway.blueprint.kinds import checked_options
from gateway.blueprint.values import Source
from gateway.config import model_pollers as model
from gateway.config.lines import Path
from gateway.config.load import config_schema
from gateway.config.model import Config
from gateway.config.places import Places
from gateway.config.problems import Report
from gateway.config.references import References
from gateway.config.sentences import did_you_mean, known_keys
from gateway.core.identify import IdentifyRule, compile_identify
from gateway.core.match import Match
from gateway.core.match_table import parse_match
from gateway.core.problems import ProblemsError
from gateway.core.selector import parse_selector
from gateway.provider_api.options import ApiOptions
from gateway.provider_api.paging import Paging
from gateway.provider_api.poll_plan import PollerPlan

_OF_WEBHOOKS: Final = ("unwrap", "unwrap_encoding", "format", "lists", "json_texts", "split_content_type")
"""How a webhook's body is read, which says nothing about an item."""


class PollerBuilder:
    """Builds the pollers of one configuration; everything wrong is in the report."""

    def __init__(self, config: Config, places: Places, report: Report) -> None:
        self._config = config
        self._places = places
        self._report = report

    def build(self, sources: Mapping[str, Source]) -> dict[str, PollerPlan]:
        """Give the sound pollers by name."""
        plans = (self._plan(name, poller, sources) for name, poller in self._config.pollers.items())
        return {plan.name: plan for plan in plans if plan is not None}

    def _plan(self, name: str, poller: model.Poller, sources: Mapping[str, Source]) -> PollerPlan | None:
        path: Path = ("pollers", name)
        references = References(self._places, self._places.beside_config(self._config.secrets.folder))
        table = dict(poller.__pydantic_extra__ or {})
        known = known_keys(config_schema(), path)
        options = checked_options(ApiOptions, table, path, known, self._report, references)
        source = self._source(poller, sources, path)
        rule = None if source is None else self._rule(poller, source, path)
        paging = self._paging(poller, path)
        match = self._match(poller, source, path)
        if not isinstance(options, ApiOptions) or source is None or rule is None or paging is None:
            return None
        written = json.dumps([poller.model_dump(mode="json"), source.rule], sort_keys=True, default=str).encode()
        return PollerPlan(
            name=name,
            source=source.name,
            options=options,
            paging=paging,
            rule=rule,
            holder=parse_selector(poller.items.removesuffix("[]")),
            match=match,
            type=poller.type,
            version=poller.version,
            every_seconds=poller.every,
            grace_ms=int(poller.grace * 1000),
            overlap_ms=int(poller.overlap * 1000),
            since_form=poller.since,
            newest_first=poller.newest_first,
            pages=poller.pages,
            formerly=poller.formerly,
            fingerprint=blake2b(b"\0".join([written, *references.digests]), digest_size=16).hexdigest(),
            fixed_secrets=tuple(references.fixed),
        )

    def _source(self, poller: model.Poller, sources: Mapping[str, Source], path: Path) -> Source | None:
        if poller.source in self._config.sources:
            return sources.get(poller.source)  # a broken one has been reported
        hint = did_you_mean(poller.source, self._config.sources) or f"; write [sources.{poller.source}]"
        self._report.add((*path, "source"), f'expected the name of a source, found "{poller.source}"{hint}')
        return None

    def _rule(self, poller: model.Poller, source: Source, path: Path) -> IdentifyRule | None:
        """Give the source's rule as it reads items."""
        own = poller.identify.model_dump(exclude_unset=True)
        base = {key: value for key, value in source.rule.items() if key not in _OF_WEBHOOKS}
        spec: dict[str, Any] = {**base, **own, "split": poller.items}
        if "occurrence" not in source.rule:
            text = (
                f"needs what is the same in webhook and item: write identify = {{ occurrence = … }} in "
                f"[sources.{source.name}] too"
            )
            self._report.add(path, text)
            return None
        if "id" in own:
            spec.pop("key", None)
        elif "key" in own:
            spec.pop("id", None)
        try:
            return compile_identify(spec)
        except ProblemsError as error:
            for problem in error.problems:
                at: Path = ("items",) if problem.path[:1] == ("split",) else ("identify", *problem.path)
                self._report.add((*path, *at), problem.text)
            return None

    def _paging(self, poller: model.Poller, path: Path) -> Paging | None:
        try:
            following = None if poller.next is None else parse_selector(poller.next)
            return Paging(poller.url, following, poller.next_param)
        except ValueError as error:
            self._report.add(path, str(error))
            return None

    def _match(self, poller: model.Poller, source: Source | None, path: Path) -> Match | None:
        if poller.match is None:
            return None
        try:
            return parse_match(poller.match, None if source is None else source.identify.fields.find)
        except ProblemsError as error:
            for problem in error.problems:
                self._report.add((*path, "match", *problem.path), problem.text)
            return None
