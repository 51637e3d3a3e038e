"""Target kind `syslog`: one line of the local system log for each event, by RFC 3164 over the log's own socket."""

import socket
from typing import Literal

from pydantic import Field

from gateway.plugin import Delivered, Message, Options, Outcome, TargetDown, target

FACILITIES = {"user": 1, "daemon": 3, **{f"local{number}": 16 + number for number in range(8)}}
INFO = 6
LINE_MAX = 1024
SEND_SECONDS = 2.0


class SyslogOptions(Options):
    """Where the log listens, and as whom to write."""

    address: str = "/dev/log"
    """Path of the log's unix socket."""
    facility: Literal[
        "user", "daemon", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"
    ] = "daemon"
    """The facility of each line."""
    tag: str = Field(default="hookgate", pattern="[A-Za-z0-9_.-]{1,32}")
    """The name before each line."""


@target(SyslogOptions, timeout="5s", concurrency=1)
def syslog(message: Message, options: SyslogOptions) -> Outcome:
    """Write the event's type and id, and the content as far as a line of a log takes it."""
    text = " ".join(message.content.decode("utf-8", "replace").split())
    clean = "".join(letter if letter.isprintable() else "?" for letter in f"{message.type} {message.id} {text}")
    line = f"<{FACILITIES[options.facility] * 8 + INFO}>{options.tag}: {clean}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.settimeout(SEND_SECONDS)
            log.connect(options.address)
            log.send(line.encode()[:LINE_MAX])
    except OSError as error:
        return TargetDown(f"no log at {options.address}: {error.strerror}")
    return Delivered()
