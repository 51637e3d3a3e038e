"""Targets: kinds loaded, options checked, policies and templates compiled."""

import json
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path as File
from typing import Any, Final

from pydantic import BaseModel

from gateway.blueprint.fetch import FetchBuilder
from gateway.blueprint.hosted import Table, hosted_kind, with_transform
from gateway.blueprint.kinds import Kinds
from gateway.blueprint.named_fields import NamedFields, used_fields
from gateway.blueprint.presets import Presets
from gateway.blueprint.values import Source, TargetPlan
from gateway.config import model_targets as model
from gateway.config.lines import Path
from gateway.config.model import Config
from gateway.config.model_targets import SendTemplate, SendTransform
from gateway.config.places import Places
from gateway.config.problems import Report
from gateway.config.references import References, read_small
from gateway.config.sentences import did_you_mean
from gateway.core.failures import DisableRule
from gateway.core.fields import RESERVED
from gateway.core.order import Order, parse_order_by
from gateway.core.pace import Rate
from gateway.core.problems import ProblemsError
from gateway.core.render import Renderer, TemplateSource
from gateway.core.retry import DEFAULT_POLICY, NAMED_POLICIES, Policy, parse_policy
from gateway.core.templates import fields_named
from gateway.plugin import SendForm, Smtp, TargetKind, TransformKind
from gateway.plugin_host.catalogue import Catalogue, Provider
from gateway.plugin_host.foreign import raised

_OWN_KEYS: Final = tuple(sorted(field.alias or name for name, field in model.Target.model_fields.items()))
"""Keys of every target, whatever its type; not from the schema, whose making costs a start more than all targets do."""


class TargetBuilder:
    """Builds the targets of one configuration."""

    def __init__(
        self,
        config: Config,
        smtp: Mapping[str, Any] | None,
        places: Places,
        presets: Presets,
        sources: Mapping[str, Source],
        catalogue: Catalogue,
        broken: frozenset[Path],
        report: Report,
    ) -> None:
        """Prepare; `smtp` is the table `[smtp]` as it is written."""
        self._fields = NamedFields(sources, report)
        self._config = config
        self._smtp = smtp
        self._places = places
        self._presets = presets
        self._broken = broken
        self._report = report
        self._kinds: Kinds[TargetKind[Any]] = Kinds("targets", "type", catalogue, report)
        self._transforms: Kinds[TransformKind[Any]] = Kinds("transforms", "transform", catalogue, report)

    def build(self) -> dict[str, TargetPlan]:
        """Give the sound targets by name; everything wrong with the others is in the report."""
        policies = self._policies()
        plans = (self._plan(name, target, policies) for name, target in self._config.targets.items())
        return {plan.name: plan for plan in plans if plan is not None}

    def _plan(self, name: str, target: model.Target, policies: Mapping[str, Policy]) -> TargetPlan | None:
        path: Path = ("targets", name)
        if target.formerly in self._config.targets:
            self._report.add(
                (*path, "formerly"), f'"{target.formerly}" is still a target: remove that one, or this key'
            )
        policy = self._policy(target, path, policies)
        order = self._order(target, path)
        provider = self._kinds.provider(target.type, (*path, "type"))
        if provider is None:
            return None
        references = References(self._places, self._places.beside_config(self._config.secrets.folder))
        table = dict(target.__pydantic_extra__ or {})
        chosen = self._choose(provider, target, Table(table, path, _OWN_KEYS, references))
        if chosen is None:
            return None
        kind, options, seen = chosen
        used = used_fields(table, options, path)
        renderer = self._renderer(target.send or kind.send, (*path, "send"), used, foreign=not provider.built_in)
        if options is None or renderer is None:
            return None
        fetch = FetchBuilder(self._config, self._presets, self._report).build(name, target, kind.send, references)
        timeout_seconds = target.timeout or kind.timeout_seconds
        if timeout_seconds is None:
            self._report.add(path, f'a target of type "{target.type}" needs timeout: write, for example, "60s"')
            return None
        try:
            kind.build(options)
        except ValueError as error:
            self._report.add(path, str(error))
        except BaseException as error:  # noqa: BLE001 - a plugin's own class, in our process
            self._report.add(path, f"the plugin cannot make the target: {raised(error)}")
        tls_files = [*self._tls_files(options, path), *self._tls_files(fetch and fetch.options, (*path, "fetch"))]
        return TargetPlan(
            name=name,
            type=target.type,
            kind=kind,
            options=options,
            renderer=renderer[0],
            policy=policy,
            timeout_seconds=timeout_seconds,
            concurrency=target.concurrency or kind.concurrency,
            formerly=target.formerly,
            replay=target.replay or kind.replay,
            fingerprint=_digest(
                json.dumps([target.model_dump(mode="json"), *seen], sort_keys=True, default=str).encode(),
                repr(policy).encode(),
                (fetch.written if fetch else "").encode(),
                renderer[1],
                *(self._fields.meaning(name).encode() for name in sorted(used)),
                *tls_files,
                *references.digests,
            ),
            order=order,
            fixed_secrets=tuple(references.fixed),
            rate=self._rate(target, path),
            window_bytes=target.window,
            disable=_disable(target.disable),
            fetch=fetch,
        )

    def _rate(self, target: model.Target, path: Path) -> Rate | None:
        if target.rate is not None:
            return Rate(target.rate, target.burst or max(1, int(target.rate / 10)))
        if target.burst is not None:
            self._report.add((*path, "burst"), 'goes with rate: write, for example, rate = "50/s"')
        return None

    def _order(self, target: model.Target, path: Path) -> Order | None:
        if target.order_by is None:
            for key, written in (("on_dead", target.on_dead), ("keep", target.keep != "all")):
                if written:
                    self._report.add((*path, key), 'needs order_by: write, for example, order_by = "body.id"')
            return None
        if target.keep == "latest" and target.on_dead == "block":
            text = 'with keep = "latest" a newer event takes the place of a dead one: expected "skip", or nothing'
            self._report.add((*path, "on_dead"), text)
        try:
            by = parse_order_by(target.order_by, self._fields.all.find)
        except ValueError as error:
            self._report.add((*path, "order_by"), str(error))
            return None
        meaning = self._fields.meaning(by.text.removeprefix("event.")) if by.root == "field" else ""
        meaning = "; ".join(filter(None, [meaning, self._fields.shapes(by)]))
        return Order(by, target.on_dead or ("skip" if target.keep == "latest" else "block"), target.keep, meaning)

    def _choose(
        self, provider: Provider, target: model.Target, table: Table
    ) -> tuple[TargetKind[Any], Any, list[object]] | None:
        """Give a target's kind, its options (None if they do not fit), and what they and the code came from."""
        inline = target.isolation == "inline"
        options: Any
        values: dict[str, Any] | None = table.values
        if provider.built_in or inline:
            kind = self._kinds.find(target.type, (*table.path, "type"))
            values = None if kind is None else self._with_smtp(kind, table.values, table.path)
            options = (
                None
                if kind is None or values is None
                else self._kinds.options(kind.options, *table._replace(values=values))
            )
        else:
            kind, options = hosted_kind(provider, table, self._report), table.values
        seen: list[object] = [values, provider.digest]
        if kind is not None and isinstance(target.send, SendTransform):
            path = (*table.path, "send")
            found = self._transforms.provider(target.send.transform, (*path, "transform"))
            written = Table(dict(target.send.__pydantic_extra__ or {}), path, ["transform"], table.references)
            kind = found and with_transform(kind, self._transforms, found, written, self._report, inline=inline)
            seen += [found.digest] if found else []
        return None if kind is None else (kind, options, seen)

    def _with_smtp(self, kind: TargetKind[Any], table: dict[str, Any], path: Path) -> dict[str, Any] | None:
        """Put `[smtp]` under a table whose kind wants it; None if there is none, which is reported once."""
        field = kind.options.model_fields.get("smtp")
        own = table.get("smtp", {})
        if field is None or field.annotation is not Smtp or not isinstance(own, dict):
            return table
        if self._smtp is None and not own:
            if ("smtp",) not in self._broken:
                self._report.add(path, "expected a mail server, found none: write [smtp] with host and from")
            return None
        for key in (self._smtp or {}).keys() - own.keys():
            self._report.come_from((*path, "smtp", key), ("smtp", key))
        return {**table, "smtp": {**(self._smtp or {}), **own}}

    def _policies(self) -> dict[str, Policy]:
        policies = dict(NAMED_POLICIES)
        for name, policy in self._config.policies.items():
            if name in NAMED_POLICIES:
                self._report.add(("policies", name), "is the name of a built-in policy: choose another")
            else:
                policies[name] = self._compile(policy, ("policies", name))
        return policies

    def _policy(self, target: model.Target, path: Path, policies: Mapping[str, Policy]) -> Policy:
        if not isinstance(target.retry, str):
            return self._compile(target.retry, (*path, "retry"))
        if target.retry in policies:
            return policies[target.retry]
        if ("policies", target.retry) not in self._broken:
            hint = did_you_mean(target.retry, policies) or f"; known are {', '.join(sorted(policies))}"
            self._report.add((*path, "retry"), f'unknown policy "{target.retry}"{hint}')
        return DEFAULT_POLICY

    def _compile(self, policy: model.Policy, path: Path) -> Policy:
        try:
            return parse_policy(policy.model_dump(exclude_none=True))
        except ProblemsError as error:
            for problem in error.problems:
                self._report.add((*path, *problem.path), problem.text)
            return DEFAULT_POLICY

    def _renderer(
        self, send: SendForm | SendTemplate | SendTransform, path: Path, used: dict[str, Path], *, foreign: bool
    ) -> tuple[Renderer, bytes] | None:
        """Give the renderer, and the template's bytes for the fingerprint; `used` gets the fields that it names."""
        if not isinstance(send, SendTemplate):
            fields = self._fields.reader(used, foreign=foreign)
            return Renderer(send if isinstance(send, str) else "payload", fields), b""
        file = self._places.beside_config(send.template)
        try:
            content = read_small(file)
            source = TemplateSource(file.name, content.decode(), send.content_type)
            used |= dict.fromkeys(fields_named(source.text) - RESERVED, (*path, "template"))
            return Renderer(source, self._fields.reader(used, foreign=foreign)), content
        except ValueError as error:
            self._report.add((*path, "template"), f"template {file}: {error}")
            return None

    def _tls_files(self, options: object, path: Path) -> Iterator[bytes]:
        """Give the contents of the files that a target's `tls` or `smtp` table names: a new one counts as a change."""
        for name, keys in (("tls", ("ca", "cert", "key")), ("smtp", ("ca",)), ("oauth2", ("ca",))):
            table = getattr(options, name, None)
            for key in keys:
                file = getattr(table, key, None) if isinstance(table, BaseModel) else None
                if isinstance(file, str):
                    try:
                        yield read_small(File(file))
                    except ValueError as error:
                        place = ("auth", name) if name == "oauth2" else (name,)
                        self._report.add((*path, *place, key), f"TLS file {file}: {error}")


def _disable(rule: model.Disable | None) -> DisableRule | None:
    return None if rule is None else DisableRule(rule.failures, round(rule.within * 1000), rule.at_least)


def _digest(*parts: bytes) -> str:
    return blake2b(b"\0".join(parts), digest_size=16).hexdigest()
