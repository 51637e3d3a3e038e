"""Targets: kinds loaded, options checked, policies and templates compiled."""

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path as File
from typing import Any, Final

from pydantic import BaseModel

from gateway.blueprint.kinds import Kinds
from gateway.blueprint.values import TargetPlan
from gateway.config import model_targets as model
from gateway.config.lines import Path
from gateway.config.load import config_schema
from gateway.config.model import Config
from gateway.config.model_targets import SendTemplate
from gateway.config.places import Places
from gateway.config.problems import Report
from gateway.config.sentences import did_you_mean, known_keys
from gateway.core.problems import ProblemsError
from gateway.core.render import Renderer, TemplateSource
from gateway.core.retry import DEFAULT_POLICY, NAMED_POLICIES, Policy, parse_policy
from gateway.plugin import SendForm, TargetKind

TEMPLATE_BYTES_MAX: Final = 256 * 1024


class TargetBuilder:
    """Builds the targets of one configuration."""

    def __init__(self, config: Config, places: Places, broken: frozenset[Path], report: Report) -> None:
        self._config = config
        self._places = places
        self._broken = broken
        self._report = report
        self._kinds: Kinds[TargetKind[Any]] = Kinds("targets", "type", report)

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
        kind = self._kinds.find(target.type, (*path, "type"))
        if kind is None:
            return None
        table = dict(target.__pydantic_extra__ or {})
        options = self._kinds.options(kind.options, table, path, known_keys(config_schema(), path))
        renderer = self._renderer(target.send or kind.send, (*path, "send"))
        if options is None or renderer is None:
            return None
        try:
            kind.build(options)
        except ValueError as error:
            self._report.add(path, str(error))
        tls_files = self._tls_files(options, path)
        return TargetPlan(
            name=name,
            type=target.type,
            kind=kind,
            options=options,
            renderer=renderer[0],
            policy=policy,
            timeout_seconds=target.timeout or kind.timeout_seconds,
            concurrency=target.concurrency or kind.concurrency,
            formerly=target.formerly,
            fingerprint=_digest(target.model_dump_json().encode(), repr(policy).encode(), renderer[1], *tls_files),
        )

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

    def _renderer(self, send: SendForm | SendTemplate, path: Path) -> tuple[Renderer, bytes] | None:
        """Give the renderer, and the template's bytes for the fingerprint."""
        if isinstance(send, str):
            return Renderer(send), b""
        file = self._places.beside_config(send.template)
        try:
            content = _read(file, TEMPLATE_BYTES_MAX)
            source = TemplateSource(file.name, content.decode(), send.content_type)
            return Renderer(source), content
        except ValueError as error:
            self._report.add((*path, "template"), f"template {file}: {error}")
            return None

    def _tls_files(self, options: object, path: Path) -> Iterator[bytes]:
        """Give the contents of the files that a target's `tls` table names, so that a new one counts as a change."""
        table = getattr(options, "tls", None)
        for key in ("ca", "cert", "key"):
            name = getattr(table, key, None) if isinstance(table, BaseModel) else None
            if name is not None:
                try:
                    yield _read(File(name), TEMPLATE_BYTES_MAX)
                except ValueError as error:
                    self._report.add((*path, "tls", key), f"TLS file {name}: {error}")


def _read(file: File, bytes_max: int) -> bytes:
    """Read a small file. Raises ValueError that tells why it cannot be used."""
    try:
        with file.open("rb") as opened:
            content = opened.read(bytes_max + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if len(content) > bytes_max:
        raise ValueError(f"expected at most {bytes_max} bytes, found more")
    return content


def _digest(*parts: bytes) -> str:
    return blake2b(b"\0".join(parts), digest_size=16).hexdigest()
