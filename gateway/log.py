"""Logging: structlog to standard error, JSON for journald and pipes, readable lines on a terminal.

Log names are past tense (`event.accepted`, `delivery.dead`); docs/logs.md lists each one. What may hold a secret is
masked here as a second wall: the first is that secrets, headers and bodies are never handed to a logger.
"""

import json
import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Final, Literal, TextIO

import orjson
import structlog

SECRET_WORDS: Final = ("secret", "token", "password", "authorization", "cookie", "signature", "api_key", "apikey")
MASK: Final = "***"
PRIORITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "console"]


def configure(
    level: Level, form: Format, stream: TextIO | None = None, environ: Mapping[str, str] | None = None
) -> None:
    """Set up logging for the whole process; called once at start and again when a reload changes level or form."""
    chosen = stream or sys.stderr
    environment = os.environ if environ is None else environ
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
    ]
    printer = _Printer(chosen)
    final = _final(form, chosen, "JOURNAL_STREAM" in environment)
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_names: printer,
        cache_logger_on_first_use=False,
    )
    _adopt_standard_logging(shared, final, level, chosen)


class _Printer(structlog.PrintLogger):
    """Writes lines to a stream; one that cannot be written is lost, and costs nobody anything else.

    A full disk or a reader that went away must end no task and turn no answer into another.
    """

    def msg(self, message: str) -> None:
        """Write one line."""
        with suppress(OSError, ValueError):
            super().msg(message)

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


def redact(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask values whose key looks like a secret; a value that is only a name of one (`credential=`) stays."""
    for key in entry:
        if any(word in key.lower() for word in SECRET_WORDS):
            entry[key] = MASK
    return entry


def _final(form: Format, stream: TextIO, journald: bool) -> list[structlog.typing.Processor]:
    on_terminal = stream.isatty() and not journald
    if form == "console" or (form == "auto" and on_terminal):
        return [structlog.dev.ConsoleRenderer(colors=on_terminal, exception_formatter=structlog.dev.plain_traceback)]
    render = _render_for_journald if journald else _render_json
    return [structlog.processors.format_exc_info, render]


def _render_json(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> str:
    try:
        return orjson.dumps(dict(entry), default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # a lone surrogate, an integer beyond 64 bits: a slower writer takes them
        return json.dumps(dict(entry), default=str)


def _render_for_journald(logger: object, method: str, entry: MutableMapping[str, Any]) -> str:
    priority = PRIORITIES.get(str(entry.get("level")), 6)
    return f"<{priority}>{_render_json(logger, method, entry)}"


def _adopt_standard_logging(
    shared: list[structlog.typing.Processor], final: list[structlog.typing.Processor], level: Level, stream: TextIO
) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, getattr(logging, level.upper())))
