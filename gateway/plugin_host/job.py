"""What a worker is told to be: plain values, so that they fit into its first frame."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import gateway
from gateway.plugin_host.catalogue import Provider

_BEGIN: Final = "import sys; sys.path.append(sys.argv[1]); from gateway.plugin_host.worker import main; main()"
COMMAND: Final = (sys.executable, "-I", "-u", "-c", _BEGIN, str(Path(gateway.__file__).parents[1]))
"""Isolated, so that neither the environment nor the working folder says what is imported; our own place is told."""
ENVIRONMENT_KEPT: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "HOME")
"""All else stays ours: the daemon's environment may hold secrets."""
MEMORY_MAX: Final = 1024 * 1024 * 1024
"""Bytes of private writable memory of one worker."""
DESCRIPTORS_MAX: Final = 512


@dataclass(frozen=True, slots=True)
class Job:
    """A plugin with its options, for one target."""

    provider: Provider
    options: Mapping[str, Any] | None
    """As the operator wrote them; None to describe the kind alone."""
    given: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Secrets and templates that the options refer to, by reference."""
    also_known: tuple[str, ...] = ()
    """Keys that may stand beside the options, for messages."""


def hello(job: Job, order: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - plain values
    """Give the first frame's header."""
    return {
        "do": order,
        "provider": job.provider,
        "options": job.options,
        "given": dict(job.given),
        "also_known": job.also_known,
        "path": [str(Path(place).absolute()) for place in sys.path],
        "limits": {"DATA": MEMORY_MAX, "NOFILE": DESCRIPTORS_MAX},
        **more,
    }


def environment() -> dict[str, str]:
    """Give the whole environment of a worker."""
    return {name: os.environ[name] for name in ENVIRONMENT_KEPT if name in os.environ}
