"""`check --unit`: judges a configuration as the system service's user and prints the drop-ins that its unit needs."""

import os
import pwd
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.format import point, say, write_json

if TYPE_CHECKING:
    from gateway.blueprint.unit import Lack

DROP_INS = Path("/etc/systemd/system")
FILE_NAME = "50-configuration.conf"


def judge_unit(config: Path, *, as_json: bool) -> int:
    """Print what the unit lacks; give the exit status: 0 if nothing. Raises ConfigError if the file cannot be read."""
    from gateway.blueprint.unit import ENVIRONMENT, unit_lacks  # noqa: PLC0415 - only this option needs it
    from gateway.config.load import load  # noqa: PLC0415

    user = become_service_user()
    loaded = load(config, {**os.environ, **ENVIRONMENT})
    loaded.report().check()
    there = _lines_there()
    lacks = [lack for lack in unit_lacks(loaded) if not lack.lines or not set(lack.lines) <= there]
    remedy = _remedy(lacks)
    if as_json:
        write_json({"ok": not lacks, "user": user, "lacks": [lack._asdict() for lack in lacks]}, remedy)
    else:
        _show(lacks, user)
        point(remedy)
    return int(bool(lacks))


def become_service_user() -> str:
    """Give up root for the service's user, if there is one, so that the kernel itself judges; give the user's name."""
    from gateway.blueprint.unit import USER  # noqa: PLC0415 - see `judge_unit`

    try:
        entry = pwd.getpwnam(USER)
    except KeyError:
        return _name_of(os.geteuid())
    if os.geteuid() == 0:
        os.initgroups(USER, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    return _name_of(os.geteuid())


def _name_of(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _lines_there() -> set[str]:
    """Read the drop-ins that the machine has already."""
    found: set[str] = set()
    for file in DROP_INS.glob("hookgate.*.d/*.conf"):
        try:
            found.update(line.strip() for line in file.read_text().splitlines())
        except (OSError, UnicodeDecodeError):
            continue
    return found


def _show(lacks: Sequence["Lack"], user: str) -> None:
    from gateway.blueprint.unit import SOCKET, USER  # noqa: PLC0415 - see `judge_unit`

    say(f"# judged as the user {user}" + ("" if user == USER else f", not as {USER}: sudo, where it is installed"))
    for unit in dict.fromkeys(lack.unit for lack in lacks if lack.unit):
        say(f"\n# {DROP_INS / f'{unit}.d' / FILE_NAME}".removeprefix("\n"))
        say("[Socket]" if unit == SOCKET else "[Service]")
        written: set[str] = set()
        for lack in lacks:
            fresh = [line for line in lack.lines if lack.unit == unit and line not in written]
            if fresh:
                say(f"# {lack.place}: {lack.why}")
            for line in fresh:
                say(line)
            written.update(fresh)
    by_hand = [lack for lack in lacks if not lack.unit]
    if by_hand:
        say("# besides:")
    for lack in by_hand:
        say(f"# {lack.place}: {lack.why}")
    if not lacks:
        say("the unit has all that this configuration needs")


def _remedy(lacks: Sequence["Lack"]) -> str:
    if any(lack.unit for lack in lacks):
        return "put the lines into these files, then: sudo systemctl daemon-reload && sudo systemctl restart hookgate"
    return "see to these, then: sudo hookgate check --unit" if lacks else "sudo systemctl restart hookgate"
