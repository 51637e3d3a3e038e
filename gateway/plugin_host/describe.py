"""What a plugin says of itself, asked in a process of its own: its options' schema, its defaults, whether options fit.

Blocks for as long as the import takes, so it belongs to building a configuration, never to the loop. A plugin that
cannot be imported, crashes or hangs gives a `Description` that says so: its targets stay down, the rest starts (G5).
"""

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, get_args

from gateway.config.lines import Path
from gateway.config.references import References
from gateway.config.secrets import SecretReference
from gateway.plugin import Replays, SendForm
from gateway.plugin_host.codec import one_line
from gateway.plugin_host.frames import FrameError, FrameReader, write_frame
from gateway.plugin_host.job import COMMAND, Job, environment, hello
from gateway.runtime import Runtime

SECONDS_MAX: Final = 20.0
ANSWER_MAX: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Description:
    """What is known of a plugin before it is called."""

    down: str = ""
    """Why it cannot be used at all; empty = it can."""
    schema: Mapping[str, Any] = field(default_factory=dict)
    timeout_seconds: float = 30.0
    concurrency: int = 16
    send: SendForm = "envelope"
    replay: Replays = "yes"
    problems: tuple[tuple[Path, str], ...] = ()
    """What is wrong with the options, each with the path of the key below the table."""
    given: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What the options refer to, read."""


def describe(job: Job, references: References | None = None) -> Description:
    """Ask a plugin; read what its options refer to by `references`."""
    found, asked = _ask(job)
    if not asked or references is None or found.down:
        return found
    given: dict[str, str] = {}
    problems: list[tuple[Path, str]] = []
    for kind, text in asked:
        try:
            given[f"{kind} {text}"] = _read(references, kind, text)
        except ValueError as error:
            problems.append(((), str(error)))
    if problems:
        return replace(found, problems=(*found.problems, *problems))
    found, _ = _ask(replace(job, given=given))
    return replace(found, given=given)


def _read(references: References, kind: str, text: str) -> str:
    if kind == "template":
        return references.template(text)
    return references.secret(SecretReference.model_validate_json(text))


def _ask(job: Job) -> tuple[Description, list[tuple[str, str]]]:
    question = b"".join(write_frame(hello(job, "describe")))
    try:
        answer, status = Runtime.ask_worker(COMMAND, environment(), question, SECONDS_MAX, ANSWER_MAX)
    except OSError as error:
        return Description(down=f"its worker cannot be started: {error}"), []
    try:
        frames = list(FrameReader(ANSWER_MAX, 0).feed(answer))
        header = frames[0].header if frames else None
    except FrameError as error:
        return Description(down=f"its worker answered {error}"), []
    if header is None:
        return Description(down=f"{_name(job)} cannot be imported: {ended_text(status)}"), []
    if not header.get("ready"):
        return Description(down=one_line(str(header.get("problem")), 500)), []
    try:
        return _described(header), [(str(kind), str(text)) for kind, text in header["asked"]]
    except (KeyError, TypeError, ValueError):
        return Description(down="its worker answered what describes no plugin"), []


def _described(header: Mapping[str, Any]) -> Description:
    """Read what a worker says of its plugin. Raises KeyError, TypeError or ValueError for anything else."""
    seconds, calls = header["timeout"] or 30.0, header["concurrency"] or 16
    if type(seconds) not in {int, float} or type(calls) is not int or not (0 < seconds < 1e6 and calls > 0):
        raise ValueError
    schema, send, replay = header["schema"], header["send"], header["replay"]
    if not isinstance(schema, dict) or send not in get_args(SendForm) or replay not in get_args(Replays):
        raise ValueError
    return Description(
        schema=schema,
        timeout_seconds=float(seconds),
        concurrency=calls,
        send=send,
        replay=replay,
        problems=tuple((tuple(path), str(text)) for path, text in header["problems"]),
    )


def _name(job: Job) -> str:
    return f"plugin {job.provider.name!r} ({job.provider.origin})"


def ended_text(status: int | None) -> str:
    """Tell how a worker ended."""
    if status is None:
        return "its worker did not answer in time and was killed"
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = str(-status)
        return f"its worker was killed by {name}"
    return f"its worker exited with status {status}"
