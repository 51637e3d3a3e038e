"""The configuration that a simulated daemon runs: what its dice may choose, and the TOML that says it."""

import hmac
import json
from dataclasses import dataclass, field, replace

SECRET = b"a secret of forty bytes, for simulations"
KEYS = 5
"""So many order keys there are."""


@dataclass(frozen=True)
class TargetSettings:
    """One target; `place` is where it leads to, whatever its name."""

    name: str
    place: str
    order: str = ""
    """"block", "skip", "latest", or nothing."""
    rate: int = 0
    concurrency: int = 4
    disable: bool = False
    expires: int = 0
    replay: str = "yes"
    delays: tuple[int, ...] = (5, 30, 120, 600)
    then: int = 3600
    give_up: int = 86400
    attempts: int = 0
    jitter: float | str = 0.1
    formerly: str = ""

    def text(self):
        retry = {"delays": [f"{delay}s" for delay in self.delays], "then": f"{self.then}s", "jitter": self.jitter}
        retry |= {"give_up": f"{self.give_up}s"}
        retry |= {"attempts": self.attempts} if self.attempts else {}
        retry |= {"expires": f"{self.expires}s"} if self.expires else {}
        lines = [f"[targets.{self.name}]", 'type = "simulated"', 'isolation = "inline"', f'place = "{self.place}"']
        lines += [f"concurrency = {self.concurrency}", f'replay = "{self.replay}"', f"retry = {_inline(retry)}"]
        if self.order:
            lines.append('order_by = "body.group"')
            lines.append('keep = "latest"' if self.order == "latest" else f'on_dead = "{self.order}"')
        if self.rate:
            lines.append(f'rate = "{self.rate}/s"')
        if self.disable:
            lines.append('disable = { failures = "80%", within = "10m", at_least = 5 }')
        if self.formerly:
            lines.append(f'formerly = "{self.formerly}"')
        return "\n".join(lines)


@dataclass(frozen=True)
class Settings:
    """One configuration."""

    targets: tuple[TargetSettings, ...]
    sources: tuple[str, ...] = ("acme",)
    routes: dict = field(default_factory=dict)
    """For each source, the types of its events and the places that they go to."""
    keep: str = ""
    alerts: bool = False

    def planned(self, source, kind):
        """Give the names of the targets that an event must reach."""
        wanted = self.routes.get((source, kind), ())
        return {target.name for target in self.targets if target.place in wanted}

    def target(self, place):
        """Give the target that leads to a place; None if there is none now."""
        return next((target for target in self.targets if target.place == place), None)

    def without(self, place):
        """Give it with one target less."""
        return replace(self, targets=tuple(target for target in self.targets if target.place != place))

    def with_target(self, changed):
        """Give it with another target for a place."""
        others = tuple(target for target in self.targets if target.place != changed.place)
        return replace(self, targets=tuple(sorted((*others, changed), key=lambda target: target.place)))

    def text(self):
        """Write the TOML."""
        parts = [
            '[server]\nbind = ["127.0.0.1:1"]\n[admin]\nbind = "127.0.0.1:2"\ntoken = { file = "key" }',
            f'[store]\nlow_water = "1MiB"\n{self.keep}',
        ]
        if self.alerts:
            parts.append(f'[alerts]\ntargets = ["{self.targets[0].name}"]')
        parts += [
            f'[sources.{source}]\nprovider = "generic"\ncredentials.main = {{ secret = {{ file = "key" }} }}\n'
            'verify = { scheme = "hmac", header = "X-Signature", prefix = "sha256=" }\n'
            'identify = { type = "body.event", id = "body.id" }'
            for source in self.sources
        ]
        for number, (source, kind) in enumerate(sorted(self.routes)):
            names = sorted(self.planned(source, kind))
            if names:
                parts.append(
                    f'[routes.r{number}]\nsource = "{source}"\nevent = "{kind}"\ntargets = {json.dumps(names)}'
                )
        return "\n".join([*parts, *(target.text() for target in self.targets)]) + "\n"


def request_of(source, body, *, genuine=True):
    """Give the head of a request that brings `body`, signed with the right secret or with a wrong one."""
    secret = SECRET if genuine else b"somebody else's"
    signature = hmac.digest(secret, body, "sha256").hex()
    return (
        f"POST /hooks/{source} HTTP/1.1\r\nHost: hooks.example\r\nContent-Type: application/json\r\n"
        f"X-Signature: sha256={signature}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode()


def _inline(table):
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items()) + " }"
