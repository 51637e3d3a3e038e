"""`plugins list`, `new` and `test`: what is there, a project to begin with, and whether a plugin keeps its contract.

None of them needs the daemon. Foreign code is described in a process of its own, so that a broken plugin is a line of
the list and not the end of it.
"""

import os
import re
import sys
import tempfile
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.failures import Failure
from gateway.cli.format import point, say, table, write_json
from gateway.cli.options import examples, pasteable, with_config, with_json
from gateway.cli.scaffold import FORMS, project
from gateway.errors import ConfigError, PluginError

if TYPE_CHECKING:
    from gateway.plugin_host.catalogue import Catalogue, Provider
    from gateway.plugin_host.describe import Description


@click.group()
def plugins() -> None:
    """Kinds of targets, verification schemes and transforms: list them, begin one, test one."""


@plugins.command("list", epilog=examples("hookgate plugins list", "hookgate plugins list --json"))
@with_config
@with_json
def list_(config: Path, as_json: bool) -> None:
    """List what is built in, installed, or lies in the plugins folder, with its options."""
    rows = list(_rows(_catalogue(config)))
    remedy = "hookgate plugins new target NAME"
    if as_json:
        write_json({"plugins": rows}, remedy)
        return
    table(["GROUP", "NAME", "FROM", "OPTIONS"], [_cells(row) for row in rows])
    point(remedy)


@plugins.command("new", epilog=examples("hookgate plugins new target pager", "hookgate plugins new transform shorten"))
@click.argument("kind", type=click.Choice(sorted(FORMS)))
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=".", help="Where the project goes.")
@with_config
@with_json
def new(kind: str, name: str, folder: Path, config: Path, as_json: bool) -> None:
    """Write a small project, hookgate-NAME, with module, tests and README."""
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name):
        raise Failure(
            f'"{name}" is no name of a plugin: write small letters, digits, "-" and "_"', "hookgate plugins new --help"
        )
    catalogue = _catalogue(config)
    if name in {each.name for each in catalogue.installed()}:
        raise Failure(f'"{name}" is installed already: choose another name', "hookgate plugins list")
    root = folder / f"hookgate-{name}"
    if root.exists():
        raise Failure(f"{root} exists: choose another name or --folder", "hookgate plugins new --help")
    written = []
    for path, text in project(kind, name):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        written.append(str(file))
    remedy = _try_it(catalogue.folder, name, root)
    if as_json:
        write_json({"files": written}, remedy)
        return
    for each in written:
        say(each)
    point(remedy)


@plugins.command(
    "test",
    epilog=examples(
        "hookgate plugins test flatten", "hookgate plugins test file --options 'path = \"/tmp/out.jsonl\"'"
    ),
)
@click.argument("name")
@click.option("--options", "text", default="", help="Options, as TOML: one line for each key, or several.")
@with_config
@with_json
def test(name: str, text: str, config: Path, as_json: bool) -> None:
    """Check that a plugin keeps its contract. A target must have a place that takes messages."""
    import tomli  # noqa: PLC0415 - only here

    from gateway.config.syntax import find_mistake  # noqa: PLC0415 - only for what is no TOML

    try:
        options = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        mistake = find_mistake(text, error.msg, error.pos).message
        raise Failure(f"--options is no TOML: {mistake}", "hookgate plugins test --help") from None
    provider = _find(_catalogue(config), name)
    try:
        _check(provider, options)
    except (AssertionError, PluginError, ValueError) as error:
        raise Failure(f"{name} ({provider.origin}): {error}", f"hookgate plugins test {name}") from None
    remedy = "hookgate check"
    if as_json:
        write_json({"ok": True, "name": name, "group": provider.group, "origin": provider.origin}, remedy)
        return
    say(f"{name} ({provider.origin}) keeps the contract of {provider.group}")
    point(remedy)


def _try_it(folder: Path, name: str, root: Path) -> str:
    """Give the command that puts a new project's module where the gateway finds it, and tests it there.

    What others could write is refused as a plugin: hence the mask.
    """
    module = quote(str(root / f"hookgate_{name.replace('-', '_')}.py"))
    copied = f"(umask 022 && mkdir -p {quote(str(folder))} && cp {module} {quote(str(folder / name))}.py)"
    return f"{copied} && {pasteable(f'hookgate plugins test {name}')}"


def _catalogue(config: Path) -> "Catalogue":
    from gateway.config.load import load  # noqa: PLC0415 - loads what the configuration names
    from gateway.plugin_host.catalogue import Catalogue  # noqa: PLC0415

    try:
        folder = load(config, os.environ).config.plugins.folder
    except ConfigError:
        folder = "plugins"  # none yet, or a broken one: `hookgate check` tells
    return Catalogue(config.parent / folder)


def _rows(catalogue: "Catalogue") -> list[dict[str, Any]]:
    rows = [_row(provider) for provider in catalogue.installed()]
    for name in catalogue.files():
        try:
            rows += [_row(provider) for provider in _file_providers(catalogue, name)]
        except PluginError as error:
            rows.append({"group": "-", "name": name, "origin": "file", "options": [], "problem": str(error)})
    return rows


def _file_providers(catalogue: "Catalogue", name: str) -> list["Provider"]:
    """Give a file once for each group that its text speaks of; raises PluginError if it cannot be trusted."""
    from gateway.plugin_host.catalogue import GROUPS  # noqa: PLC0415 - loads pydantic

    found = [each for group in GROUPS if (each := catalogue.find(group, name)) is not None and each.file]
    text = Path(found[0].file).read_text(errors="replace") if found else ""
    marked = [each for each in found if f"@{each.group[:-1]}(" in text or f".{each.group[:-1]}(" in text]
    return marked or found[:1]


def _row(provider: "Provider") -> dict[str, Any]:
    found = _describe(provider)
    return {
        "group": provider.group,
        "name": provider.name,
        "origin": provider.origin,
        "options": sorted(found.schema.get("properties", {})),
        "problem": found.down,
    }


def _describe(provider: "Provider") -> "Description":
    from gateway.plugin_host.catalogue import load  # noqa: PLC0415 - loads what it names
    from gateway.plugin_host.describe import Description, describe  # noqa: PLC0415
    from gateway.plugin_host.job import Job  # noqa: PLC0415

    if provider.built_in:
        return Description(schema=load(provider).options.model_json_schema())
    return describe(Job(provider, None))


def _cells(row: dict[str, Any]) -> tuple[str, str, str, str]:
    return row["group"], row["name"], row["origin"], row["problem"] or ", ".join(row["options"])


def _find(catalogue: "Catalogue", name: str) -> "Provider":
    try:
        found = [each for each in catalogue.installed() if each.name == name] or _file_providers(catalogue, name)
    except PluginError as error:
        raise Failure(str(error), "hookgate plugins list") from None
    if not found:
        raise Failure(f'no plugin "{name}" is installed', "hookgate plugins list")
    if problem := _describe(found[0]).down:
        raise Failure(problem, f"hookgate plugins test {name}")
    return found[0]


def _check(provider: "Provider", options: dict[str, Any]) -> None:
    """Run the public checks: a target as the daemon runs it, in a worker; the others in this process."""
    import trio  # noqa: PLC0415 - only here

    from gateway.plugin import Request, Runtime  # noqa: PLC0415
    from gateway.plugin_host.catalogue import load  # noqa: PLC0415
    from gateway.testing import check_transform, check_verifier  # noqa: PLC0415

    if provider.group == "targets":
        trio.run(_check_target, provider, options)
        return
    sys.dont_write_bytecode = True
    kind = load(provider)
    if provider.group == "transforms":
        trio.run(check_transform, kind, options)
        return
    headers = ((b"content-type", b"application/json"),)
    request = Request("POST", "/hooks/test", "", headers, b"{}", "192.0.2.1", Runtime().now_ms())
    secrets = (b"%d-a-secret-for-the-checks-of-a-plugin" % number for number in (1, 2))
    check_verifier(kind, options, next(secrets), request, other_secret=next(secrets), covers_body=False)


async def _check_target(provider: "Provider", options: dict[str, Any]) -> None:
    from gateway.plugin import Context, Options, Runtime, TargetKind  # noqa: PLC0415 - only here
    from gateway.plugin_host.catalogue import load  # noqa: PLC0415
    from gateway.plugin_host.describe import describe  # noqa: PLC0415
    from gateway.plugin_host.host import HostedTarget  # noqa: PLC0415
    from gateway.plugin_host.job import Job  # noqa: PLC0415
    from gateway.testing import check_target  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        context = Context(provider.name, Runtime(), 4, state_folder=Path(folder))
        if provider.built_in:
            await check_target(load(provider), options, context)
            return
        job = Job(provider, options)
        if problems := describe(job).problems:
            raise ValueError("; ".join(f"{'.'.join(map(str, path))}: {text}" for path, text in problems))
        kind = TargetKind(Options, lambda _options: HostedTarget(job, ""), None, context.connections, "envelope")
        await check_target(kind, {}, context)
