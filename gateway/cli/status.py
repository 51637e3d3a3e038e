"""`status`: one screen that says at three in the morning what is wrong and what to type."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from gateway.cli.format import UNKNOWN, ago, ago_since_start, counted, point, say, size, span, table, write_json
from gateway.cli.locate import find_client
from gateway.cli.options import examples, pasteable, with_config, with_json

Json = Mapping[str, Any]


@click.command(epilog=examples("hookgate status", "hookgate status --json | jq .targets"))
@with_config
@with_json
def status(config: Path, as_json: bool) -> None:
    """Show ingress, store, sources and targets with what to do next. Exit status 1 if events are not accepted."""
    found = find_client(config).get("/status")
    remedy = _next_of(found)
    if as_json:
        write_json(found, remedy)
    else:
        _show(found)
        point(remedy)
    if found["not_ready"]:
        raise SystemExit(1)


def show_targets(targets: Sequence[Json], now: int) -> None:
    """Draw the table of targets; below it what is wrong with which, and what to type."""
    columns = ["target", "type", "gate", "oldest", "waiting", "running", "dead", "delivered"]
    table(columns, [_target(each, now) for each in targets])
    for each in targets:
        for line in _trouble(each, now):
            say(f"{each['name']}: {line}")


def _show(found: Json) -> None:
    now = found["at"]
    state = "NOT READY" if found["not_ready"] else "ready"
    say(
        f"hookgate {found['version']}  {state}  pid {found['pid']}  up {span((now - found['started_at']) / 1000)}"
        f"  {found['config_path']} ({found['config_digest']})"
    )
    for reason in found["not_ready"]:
        say(f"  not accepting: {reason}")
    _show_reload(found["last_reload"], now)
    _show_ingress(found["ingress"], now)
    _show_store(found["store"])
    if found["sources"]:
        click.echo()
        table(
            ["source", "provider", "last event", "answered", "refused", "credentials (proved, alone)"], _sources(found)
        )
    if found["targets"]:
        click.echo()
        show_targets(found["targets"], now)
    if found["pollers"]:
        click.echo()
        table(
            ["poller", "source", "asked", "knows until", "webhooks missed"], [_poller(e, now) for e in found["pollers"]]
        )
        for each in found["pollers"]:
            if each["failures"]:
                say(f"{each['name']}: {counted(each['failures'], 'polls')} in a row failed: {each['problem']}")
    _show_refusals(found["refusals"], now)


def _poller(each: Json, now: int) -> list[str]:
    times = ["never" if at is None else ago(at, now) for at in (each["asked_at"], each["cursor"])]
    return [each["name"], each["source"], *times, str(each["missed"])]


def _show_reload(reload: Json | None, now: int) -> None:
    if reload is None:
        return
    result = "taken" if reload["ok"] else "REFUSED, the old configuration runs"
    say(f"reload   {ago(reload['at'], now)}: {result}")
    for problem in reload["problems"]:
        say(f"  {problem}")


def _show_ingress(ingress: Json, now: int) -> None:
    say(
        f"ingress  {', '.join(ingress['listeners'])}  {counted(ingress['connections'], 'connections')}  last event "
        f"{ago_since_start(ingress['last_accepted_at'], now)}"
    )
    say(
        f"         answered {ingress['answered']}, repeats {ingress['duplicates']}, conflicts {ingress['conflicts']}, "
        f"refused {_reasons(ingress['refused'])}"
    )
    for reason, count in ingress["held"].items():
        say(f"         held {count} as {reason}: {pasteable(f'hookgate events list --hold {reason}')}")


def _show_store(store: Json) -> None:
    state = "accepting" if store["accepting"] else f"NOT ACCEPTING: {store['reason']}"
    say(f"store    {store['path']}")
    say(
        f"         {state}, last commit {store['commit_age_seconds']} s ago, {store['queued']} queued, "
        f"{size(store['disk_bytes'])} used, {size(store['free_bytes'])} free"
    )


def _show_refusals(refusals: Sequence[Json], now: int) -> None:
    if refusals:
        click.echo()
        rows = [
            [
                ago(each["at"], now),
                each["count"],
                each["source"] or UNKNOWN,
                each["client"] or UNKNOWN,
                each["status"],
                each["reason"],
                each["detail"],
            ]
            for each in refusals
        ]
        table(["refused", "times", "source", "client", "status", "reason", "detail"], rows)


def _sources(found: Json) -> list[list[object]]:
    return [
        [
            each["name"],
            each["provider"],
            ago_since_start(each["last_event_at"], found["at"]),
            each["answered"],
            _reasons(each["refused"]),
            ", ".join(f"{one['name']} {one['used']}/{one['used_alone']}" for one in each["credentials"]),
        ]
        for each in found["sources"]
    ]


def _target(each: Json, now: int) -> list[object]:
    gates = ", ".join(f"{gate['kind']}{_until(gate, now)}" for gate in each["gates"])
    return [
        each["name"],
        each["type"] or "not configured",
        gates or ("open, slow start" if each["slow_start"] else "open"),
        _oldest(each["oldest_due"], now),
        each["pending"],
        each["in_flight"],
        each["dead"],
        ago_since_start(each["last_delivered_at"], now),
    ]


def _trouble(each: Json, now: int) -> Iterator[str]:
    for gate in each["gates"]:
        yield f"{gate['kind']} since {ago(gate['since'], now)}: {gate['reason'] or 'no reason given'}"
    known = {gate["reason"] for gate in each["gates"]}
    if (
        each["last_error"]
        and each["last_error"] not in known
        and (each["last_delivered_at"] or 0) < each["last_error_at"]
    ):
        yield f"last error {ago(each['last_error_at'], now)}: {each['last_error']}"
    if each["behind"]:
        yield f"{each['behind']} wait for another with the same order_by"
    if each["dead"] and each["blocks"]:
        yield "each dead delivery stops what comes after it with the same order_by"
    if each["next_step"]:
        yield f"next: {pasteable(each['next_step'])}"


def _until(gate: Json, now: int) -> str:
    return f", probe {ago(gate['until'], now)}" if gate["until"] else ""


def _oldest(due: int | None, now: int) -> str:
    if due is None:
        return UNKNOWN
    return f"due {ago(due, now)}"


def _reasons(refused: Mapping[str, int]) -> str:
    if not refused:
        return "0"
    each = ", ".join(f"{reason} {count}" for reason, count in sorted(refused.items(), key=lambda item: -item[1]))
    return f"{sum(refused.values())} ({each})"


def _next_of(found: Json) -> str:
    """Give the most urgent command: the store, a refused reload, the first target that needs something."""
    if found["not_ready"]:
        return "journalctl -u hookgate -p warning -n 50"
    if found["last_reload"] and not found["last_reload"]["ok"]:
        return "hookgate check"
    steps = [each["next_step"] for each in found["targets"] if each["next_step"]]
    return steps[0] if steps else "hookgate events list"
