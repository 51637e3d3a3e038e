"""`check` builds the whole configuration and throws it away; `schema` describes every key, for editors and people."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.failures import Failure, NotRunning
from gateway.cli.format import counted, point, say, table, write_json
from gateway.cli.locate import find_client, require_config
from gateway.cli.options import examples, with_config, with_json
from gateway.cli.unit import judge_unit
from gateway.errors import ConfigError, PluginError

if TYPE_CHECKING:
    from gateway.blueprint import Blueprint

AGAIN = "correct these, then: hookgate check"


@click.command(epilog=examples("hookgate check", "hookgate check --strict --json", "sudo hookgate check --unit"))
@with_config
@with_json
@click.option("--strict", is_flag=True, help="Warnings count as problems.")
@click.option("--expand", "as_toml", is_flag=True, help="Print the long form: includes and self-contained routes.")
@click.option("--unit", "for_unit", is_flag=True, help="Print what the hardened systemd unit lacks for it instead.")
@click.pass_context
def check(context: click.Context, config: Path, as_json: bool, strict: bool, as_toml: bool, for_unit: bool) -> None:
    """Tell all that is wrong with the configuration, with file and line. Exit status 0: the daemon would take it."""
    from gateway.blueprint import build  # noqa: PLC0415 - loads what the configuration names
    from gateway.blueprint.expand import expand  # noqa: PLC0415
    from gateway.config.load import load  # noqa: PLC0415

    require_config(config)
    try:
        if for_unit:
            context.exit(judge_unit(config, as_json=as_json))
        loaded = load(config, os.environ)
        blueprint = build(loaded)
    except ConfigError as error:
        _refuse(error, as_json=as_json)
        context.exit(1)
    if as_toml:
        click.echo(expand(loaded), nl=False)
        return
    failed = strict and bool(blueprint.warnings)
    remedy = AGAIN if failed else "hookgate reload" if _runs(config) else "hookgate run"
    if as_json:
        write_json({"ok": not failed, "problems": [], **_summary(blueprint)}, remedy)
    else:
        _show(blueprint, config)
        point(remedy)
    context.exit(int(failed))


@click.command(epilog=examples("hookgate schema > hookgate.schema.json", "hookgate schema --markdown"))
@click.option("--markdown", is_flag=True, help="Print the reference of every key as Markdown.")
def schema(markdown: bool) -> None:
    """Print the JSON Schema of the configuration, with the options of every installed plugin."""
    from gateway.blueprint.reference import reference  # noqa: PLC0415 - loads every installed plugin
    from gateway.blueprint.schema import schema as make_schema  # noqa: PLC0415

    try:
        text = reference() if markdown else json.dumps(make_schema(), indent=2) + "\n"
    except PluginError as error:
        raise Failure(str(error), "remove or repair the plugin, then: hookgate schema") from None
    click.echo(text, nl=False)


def _runs(config: Path) -> bool:
    """Tell whether a daemon answers at the admin listener of `config`."""
    try:
        find_client(config).get("/status")
    except NotRunning:
        return False
    except Failure:  # it answers, if only to say no
        return True
    return True


def _refuse(error: ConfigError, *, as_json: bool) -> None:
    if as_json:
        write_json({"ok": False, "problems": error.problems, "warnings": []}, AGAIN)
        return
    for problem in error.problems:
        say(problem)
        for line in error.excerpts.get(problem, ()):
            say(f"    {line}")
    click.echo()
    say(f"{counted(len(error.problems), 'problems')} in all")
    point(AGAIN)


def _show(blueprint: "Blueprint", config: Path) -> None:
    summary = _summary(blueprint)
    table(
        ["SOURCE", "PATH", "CREDENTIAL", "SCHEME", "SPEAKS FOR"],
        [
            (
                source["name"],
                source["path"],
                each["name"],
                each["scheme"],
                f"{_listed(each['events'])} {_listed(each['versions'])}",
            )
            for source in summary["sources"]
            for each in source["credentials"]
        ],
    )
    table(
        ["ROUTE", "SOURCE", "EVENT", "VERSION", "TARGETS"],
        [
            (each["name"], each["source"], *(_listed(each[key]) for key in ("events", "versions", "targets")))
            for each in summary["routes"]
        ],
    )
    table(
        ["TARGET", "TYPE", "TIMEOUT", "AT ONCE"],
        [(each["name"], each["type"], f"{each['timeout']:g}s", each["concurrency"]) for each in summary["targets"]],
    )
    for warning in blueprint.warnings:
        say(f"warning: {warning}")
    say(f"{config}: {'right' if not blueprint.warnings else 'right, with warnings'}")


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(texts)


def _summary(blueprint: "Blueprint") -> dict[str, Any]:
    return {
        "warnings": list(blueprint.warnings),
        "sources": [
            {
                "name": source.name,
                "path": source.path,
                "credentials": [
                    {
                        "name": each.name,
                        "scheme": each.scheme,
                        "events": each.events.globs,
                        "versions": each.versions.globs,
                    }
                    for each in source.credentials
                ],
            }
            for source in blueprint.sources.values()
        ],
        "routes": [
            {
                "name": route.name,
                "source": route.source,
                "events": route.events.globs,
                "versions": route.versions.globs,
                "targets": route.targets,
            }
            for route in blueprint.routes.values()
        ],
        "targets": [
            {
                "name": plan.name,
                "type": plan.type,
                "timeout": plan.timeout_seconds,
                "concurrency": plan.concurrency,
            }
            for plan in blueprint.targets.values()
        ],
    }
