"""What a reload changes, for the log: sources, routes and targets by name, and what only a restart can change."""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.blueprint.values import Blueprint, Source
from gateway.config.model import Config


def difference(old: Blueprint, new: Blueprint, started: Config) -> list[str]:
    """Give a line for each difference; empty if there is none. Secrets are told by name.

    `started` is what the daemon was started with: what only a restart changes still runs as it says there, however
    often the files were read since.
    """
    return [
        *_named("source", _sources(old), _sources(new)),
        *_credentials(old, new),
        *_named("route", _routes(old), _routes(new)),
        *_named(
            "target",
            {name: plan.fingerprint for name, plan in old.targets.items()},
            {name: plan.fingerprint for name, plan in new.targets.items()},
        ),
        *_named(
            "poller",
            {name: plan.fingerprint for name, plan in old.pollers.items()},
            {name: plan.fingerprint for name, plan in new.pollers.items()},
        ),
        *_restart(started, new.config),
        *_fixed_secrets(new),
    ]


def _named(word: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterable[str]:
    yield from (f"{word} {name} removed" for name in old if name not in new)
    yield from (f"{word} {name} added" for name in new if name not in old)
    yield from (f"{word} {name} changed" for name in new if name in old and old[name] != new[name])


def _sources(blueprint: Blueprint) -> dict[str, object]:
    return {name: (source.path, source.body_max, source.fingerprint) for name, source in blueprint.sources.items()}


def _credentials(old: Blueprint, new: Blueprint) -> Iterable[str]:
    for name, source in new.sources.items():
        if name in old.sources:
            yield from _named("credential", _by_name(old.sources[name]), _by_name(source))


def _by_name(source: Source) -> dict[str, object]:
    return {f"{source.name}.{credential.name}": credential.fingerprint for credential in source.credentials}


def _routes(blueprint: Blueprint) -> dict[str, object]:
    return {
        name: (
            route.source,
            route.events,
            route.versions,
            route.targets,
            blueprint.config.routes[name].match if name in blueprint.config.routes else None,
        )
        for name, route in blueprint.routes.items()
    }


def _restart(started: Config, new: Config) -> Iterable[str]:
    before, after = _fixed(started), _fixed(new)
    yield from (f"{key} changed: takes effect at the next restart" for key in after if before[key] != after[key])


def _fixed(config: Config) -> dict[str, Any]:
    """What is read once, when the daemon starts."""
    return {
        "[server] bind": config.server.bind,
        "[server] http": config.server.http,
        "[server] tls": config.server.tls is None,
        "[admin]": config.admin,
        "[store]": config.store.model_dump(exclude={"keep"}),
    }


def _fixed_secrets(blueprint: Blueprint) -> Iterable[str]:
    for source in blueprint.sources.values():
        for credential in source.credentials:
            if credential.secret_is_fixed:
                place = f"{source.name}.{credential.name}"
                yield f"credential {place} keeps its secret ({credential.secret_at}) until the next restart"
    for poller in blueprint.pollers.values():
        for place in poller.fixed_secrets:
            yield f"poller {poller.name} keeps its secret ({place}) until the next restart"
    for target in blueprint.targets.values():
        for place in target.fixed_secrets:
            yield f"target {target.name} keeps its secret ({place}) until the next restart"
