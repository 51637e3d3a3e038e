"""`units exec`: prints or writes the units of an exec helper that may do more than the shipped one."""

from pathlib import Path

import click

from gateway.cli.exec_unit import ExecUnit
from gateway.cli.failures import Failure
from gateway.cli.format import point, say, write_json
from gateway.cli.options import examples, with_json

EXAMPLE = "hookgate units exec deploy --user deploy --network --write /srv/deploy --allow /usr/local/bin/deploy"


@click.group()
def units() -> None:
    """Units of systemd, made to measure."""


@units.command("exec", epilog=examples(EXAMPLE, f"{EXAMPLE} --folder /etc/systemd/system"))
@click.argument("name")
@click.option("--user", default="", help="Who the programs are. Default: a user that exists only while they run.")
@click.option("--network", is_flag=True, help="They may use the network.")
@click.option("--write", multiple=True, metavar="PATH", help="A folder or file that they may change. May be repeated.")
@click.option(
    "--allow", multiple=True, metavar="PATH", help="A program that may run, or a folder of such (with / at its end)."
)
@click.option("--memory", default="512M", show_default=True, help="The most that one run may use.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Write both files there instead of printing them, as in /etc/systemd/system.",
)
@with_json
def exec_unit(
    name: str,
    user: str,
    network: bool,
    write: tuple[str, ...],
    allow: tuple[str, ...],
    memory: str,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Print the socket and service NAME of an exec helper, for shell targets that need more than the shipped one."""
    if not name:
        raise Failure("the units need a name: without one they would replace the shipped ones", EXAMPLE)
    try:
        unit = ExecUnit(name, user, network, write, allow, memory)
    except ValueError as error:
        raise Failure(str(error), "hookgate units exec --help") from None
    files = {f"{folder or '/etc/systemd/system'}/{file}": text for file, text in unit.files().items()}
    if folder is not None:
        _write(files)
    remedy = f"systemctl daemon-reload && systemctl enable --now {unit.stem}.socket"
    if as_json:
        write_json({"files": files, "exec": f"unix:{unit.socket_path}"}, remedy)
        return
    for path, text in files.items():
        if folder is None:
            click.echo(f"# {path}\n{text}")
        else:
            say(f"written: {path}")
    say(f'# in the target: exec = "unix:{unit.socket_path}"')
    point(remedy if folder else f"put both files there, then: {remedy}")


def _write(files: dict[str, str]) -> None:
    for path, text in files.items():
        try:
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            raise Failure(f"{path} cannot be written: {error.strerror}", "sudo hookgate units exec …") from error
