"""The text of an exec unit: a socket, and a service that is started once for each run behind it.

What a run may do is decided here and nowhere else: user, network, folders, programs, limits. The pair without a name is
the one that is shipped; it may do nothing that leaves a trace.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - private in the unit
"""Folders that a unit does not see; what it shall see of them is mounted."""

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,29}[a-z0-9])?")
_USER: Final = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
_PATH: Final = re.compile(r"/[A-Za-z0-9_./@+,=~-]*")
_MEMORY: Final = re.compile(r"[1-9][0-9]{0,6}[KMGT]")


@dataclass(frozen=True, slots=True)
class ExecUnit:
    """What a pair of units is called, and what its runs may do. Raises ValueError that tells what cannot be."""

    name: str = ""
    user: str = ""
    """Empty: a user that exists only while runs last."""
    network: bool = False
    write: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    memory: str = "512M"

    def __post_init__(self) -> None:
        if self.name and not _NAME.fullmatch(self.name):
            raise ValueError(f"expected a name of small letters, digits and -, found {self.name!r}")
        if self.user and (not _USER.fullmatch(self.user) or self.user in {"root", "hookgate"}):
            raise ValueError(f"expected a user of its own, neither root nor the gateway's, found {self.user!r}")
        for path in (*self.write, *self.allow):
            if not _PATH.fullmatch(path) or ".." in Path(path).parts:
                raise ValueError(f"expected an absolute path without spaces and odd characters, found {path!r}")
        if not _MEMORY.fullmatch(self.memory):
            raise ValueError(f'expected memory like "512M" or "2G", found {self.memory!r}')

    @property
    def stem(self) -> str:
        """The units' name without what follows the dot or the @."""
        return f"hookgate-exec-{self.name}" if self.name else "hookgate-exec"

    @property
    def socket_path(self) -> str:
        """Where it listens. Not below /run/hookgate: that folder goes when the daemon stops."""
        return f"/run/{self.stem}.sock"

    def files(self) -> dict[str, str]:
        """Give both files' contents by file name."""
        return {f"{self.stem}.socket": self._socket(), f"{self.stem}@.service": self._service()}

    def _socket(self) -> str:
        return _SOCKET.format(path=self.socket_path)

    def _service(self) -> str:
        allow = "".join(f" --allow {path}" for path in self.allow)
        return _SERVICE.format(
            of=f" of {self.name}" if self.name else "",
            allow=allow,
            memory=self.memory,
            who=f"User={self.user}" if self.user else "DynamicUser=yes",
            view="\n".join(self._view()),
            network=_NETWORK if self.network else _NO_NETWORK,
        )

    def _view(self) -> list[str]:
        hidden = [path for path in self.write if any(Path(path).is_relative_to(above) for above in HIDDEN)]
        lines = ["ProtectSystem=strict", f"ProtectHome={'tmpfs' if hidden else 'yes'}"]
        lines += [f"BindPaths={path}" if path in hidden else f"ReadWritePaths={path}" for path in self.write]
        return lines


_SOCKET: Final = """\
# Where the gateway asks for runs of shell targets; each connection starts one instance of the service of this name.
[Unit]
Description=Hookgate exec helper

[Socket]
# Not below /run/hookgate: that folder goes when the daemon stops.
ListenStream={path}
SocketUser=hookgate
SocketMode=0600
Accept=yes
MaxConnections=64
RemoveOnStop=yes
# Many short runs are no failure.
TriggerLimitIntervalSec=0

[Install]
WantedBy=sockets.target
"""

_SERVICE: Final = """\
# One run of a shell target{of}. Whatever the program does, its processes end with it: they are one control group.
# Change nothing here, an upgrade may replace this file: `hookgate units exec NAME` prints a pair that may do more.
[Unit]
Description=Hookgate run %i
Documentation=man:systemd.exec(5)
# A run that failed is the gateway's to remember, not systemd's.
CollectMode=inactive-or-failed

[Service]
Type=exec
# %i ends in the number of the user who connected, as systemd saw it.
ExecStart=/opt/hookgate/current/bin/hookgate-exec --from hookgate --instance %i{allow}
StandardInput=socket
StandardOutput=journal
StandardError=journal
KillMode=control-group
TimeoutStopSec=5
# A little over the longest timeout that a target may have.
RuntimeMaxSec=11min
MemoryMax={memory}
MemorySwapMax=0
TasksMax=128
CPUQuota=100%
OOMPolicy=kill
LimitCORE=0
Environment=PYTHONDONTWRITEBYTECODE=1

# Who.
{who}
UMask=0077

# No power.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
RestrictSUIDSGID=yes
PrivateUsers=yes
KeyringMode=private

# No view; nothing of the gateway's own.
{view}
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
PrivateIPC=yes
PrivateMounts=yes
ProtectProc=invisible
ProcSubset=pid
InaccessiblePaths=-/etc/hookgate -/var/lib/hookgate -/var/log/hookgate -/run/hookgate -/etc/ssh

# No kernel. MemoryDenyWriteExecute stops programs that compile as they run (node, java): see docs/targets.md.
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

{network}"""

_NO_NETWORK: Final = """\
# No network.
PrivateNetwork=yes
RestrictAddressFamilies=AF_UNIX
IPAddressDeny=any
"""

_NETWORK: Final = """\
# Network: not the clouds' metadata services; add your site's ranges.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
IPAddressDeny=169.254.0.0/16 fe80::/10
"""
