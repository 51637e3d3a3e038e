"""`providers list`, `show` and `check`: the presets there are, what one knows, and whether one of your own works."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.failures import Failure
from gateway.cli.format import point, say, table, write_json
from gateway.cli.options import examples, with_config, with_json
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.blueprint.presets import Preset
    from gateway.cli.trial import Tried


@click.group()
def providers() -> None:
    """Providers whose webhooks are known: list them, show one, check a preset of your own."""


@providers.command("list", epilog=examples("hookgate providers list", "hookgate providers list --json"))
@with_config
@with_json
def list_(config: Path, as_json: bool) -> None:
    """List every preset, your own included, with its scheme and what it was proven against."""
    from gateway.cli.trial import read, scheme_name  # noqa: PLC0415 - loads what builds a configuration

    presets = {file.stem: read(file) for file in _files(config).values()}
    rows = [(name, each.title, scheme_name(each), each.verified) for name, each in presets.items()]
    remedy = "hookgate providers show NAME"
    if as_json:
        write_json(
            {"providers": [dict(zip(("name", "title", "scheme", "verified"), row, strict=True)) for row in rows]},
            remedy,
        )
        return
    table(["NAME", "PROVIDER", "SCHEME", "PROVEN BY"], rows)
    point(remedy)


@providers.command("show", epilog=examples("hookgate providers show truework", "hookgate providers show github --json"))
@click.argument("name")
@with_config
@with_json
def show(name: str, config: Path, as_json: bool) -> None:
    """Show what is known about a provider, with the lines to paste into the configuration."""
    from gateway.cli.provider_page import page, snippet  # noqa: PLC0415 - loads what builds a configuration
    from gateway.cli.trial import read  # noqa: PLC0415
    from gateway.config.sentences import did_you_mean  # noqa: PLC0415

    files = _files(config)
    if name not in files:
        raise Failure(f"there is no provider {name!r}{did_you_mean(name, files)}", "hookgate providers list")
    preset = read(files[name])
    remedy = "hookgate check"
    if as_json:
        write_json(
            {"name": name, "snippet": snippet(name, preset), **preset.model_dump(mode="json", by_alias=True)}, remedy
        )
        return
    for line in page(name, preset).splitlines():
        say(line)
    point(remedy)


@providers.command("check", epilog=examples("hookgate providers check presets/acme.toml"))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@with_json
def check(file: Path, as_json: bool) -> None:
    """Check a preset: its keys, and each sample signed with a made-up secret, taken, and refused when spoilt."""
    from gateway.cli.preset_problems import of_preset  # noqa: PLC0415 - loads what builds a configuration
    from gateway.cli.trial import read, trial_source, try_sample  # noqa: PLC0415

    if not file.is_file():
        raise Failure(f"{file} is no file: give the path of a preset", "hookgate providers list")
    again = f"hookgate providers check {file}"
    try:
        read(file)
    except ConfigError as error:
        told = error.problems if as_json else _with_lines(error)
        raise Failure("the preset cannot be used:", again, told) from None
    try:
        with trial_source(file.stem, file) as (source, preset):
            tried = [try_sample(source, preset, sample) for sample in preset.samples]
            unseen = sorted(set(source.identify.fields).difference(*(each.fields for each in tried)))
    except ConfigError as error:
        raise Failure("the preset cannot be used:", again, of_preset(file, error.problems)) from None
    wrong = _wrong(preset, tried)
    if wrong:
        raise Failure(f"{file} is not right yet:", again, wrong)
    remedy = f'provider = "{file.stem}" in a source, then hookgate check'
    notes = [f"identify.fields.{name} finds nothing in any sample" for name in unseen]
    if as_json:
        write_json({"ok": True, "samples": [_told(each) for each in tried], "notes": notes}, remedy)
        return
    table(["SAMPLE", "TYPE", "VERSION", "DE-DUP"], [_row(each) for each in tried])
    for note in notes:
        say(note)
    say(_verdict(tried))
    point(remedy)


@providers.command("pages", epilog=examples("hookgate providers pages docs/providers"))
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@with_config
@with_json
def pages(folder: Path, config: Path, as_json: bool) -> None:
    """Write the page of every preset, and a table of them all, into FOLDER."""
    from gateway.cli.provider_page import overview, page  # noqa: PLC0415 - loads what builds a configuration
    from gateway.cli.trial import read  # noqa: PLC0415

    presets = {name: read(file) for name, file in _files(config).items()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(overview(presets))
    for name, each in presets.items():
        (folder / f"{name}.md").write_text(page(name, each))
    remedy = "hookgate providers list"
    if as_json:
        write_json({"folder": str(folder), "pages": sorted(presets)}, remedy)
        return
    say(f"{len(presets)} pages in {folder}")
    point(remedy)


def _with_lines(error: ConfigError) -> list[str]:
    """Give the problems, each with the lines of the file that show its place."""
    return [line for each in error.problems for line in (each, *(f"    {one}" for one in error.excerpts.get(each, ())))]


def _files(config: Path) -> dict[str, Path]:
    """Give the file of every preset; the operator's own win."""
    from gateway.blueprint.presets import BUILT_IN  # noqa: PLC0415 - loads what builds a configuration
    from gateway.config.load import load  # noqa: PLC0415

    try:
        folder = load(config, os.environ).config.presets.folder
    except ConfigError:
        folder = "presets"  # none yet, or a broken one: `hookgate check` tells
    found = [*BUILT_IN.glob("*.toml"), *(config.parent / folder).glob("*.toml")]
    return dict(sorted({file.stem: file for file in found}.items()))


def _row(tried: "Tried") -> tuple[str, str, str, str]:
    events = tried.events
    kinds, versions = (
        ", ".join(sorted({name for name in names if name}))
        for names in zip(*((e.type, e.version) for e in events), strict=True)
    )
    return tried.sample, kinds, versions, "yes" if all(event.key for event in events) else "no"


def _wrong(preset: "Preset", tried: Sequence["Tried"]) -> list[str]:
    """Tell what is wrong with the samples, and with what the preset says of types."""
    from gateway.blueprint.overlap import overlap  # noqa: PLC0415 - see check
    from gateway.core.pattern import Pattern  # noqa: PLC0415

    wrong = [f'sample "{each.sample}": {problem}' for each in tried for problem in each.problems]
    if preset.types:
        sent = Pattern(preset.types)
        samples, fetches = preset.samples, preset.fetch.items()
        wrong += [f'sample "{each.name}": its type is none of types' for each in samples if not sent.matches(each.type)]
        wrong += [
            f"fetch.{name} is for none of types" for name, each in fetches if not overlap(Pattern(each.events), sent)
        ]
    if not tried:
        wrong.append('no sample: add [[samples]], so that it can be tried and "hookgate send" has something to send')
    return wrong


def _verdict(tried: Sequence["Tried"]) -> str:
    """Say in one sentence what was seen of every sample."""
    count = "1 sample is" if len(tried) == 1 else f"{len(tried)} samples are"
    once = " once" if all(event.key for each in tried for event in each.events) else ""
    ways = [how for how in tried[0].refused if all(how in each.refused for each in tried)]
    return f"right: {count} taken{once}" + (f", and refused {', '.join(ways)}" if ways else "")


def _told(tried: "Tried") -> dict[str, object]:
    sample, kinds, versions, known = _row(tried)
    return {"sample": sample, "type": kinds, "version": versions, "dedup": known == "yes"}
