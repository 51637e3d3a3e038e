"""`sources list`, and the secrets that providers say at set-up: `learn` lets one in, `secret` shows it.

The daemon never answers a secret: `secret` reads its file, with the rights of whoever types.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from gateway.cli.failures import Failure
from gateway.cli.format import UNKNOWN, ago_since_start, point, say, span, table, write_json
from gateway.cli.locate import find_client
from gateway.cli.options import examples, with_config, with_json

Json = Mapping[str, Any]


@click.group()
def sources() -> None:
    """Who may speak: list sources, let one learn the secret that its provider says at set-up."""


@sources.command("list", epilog=examples("hookgate sources list", "hookgate sources list --json"))
@with_config
@with_json
def list_(config: Path, as_json: bool) -> None:
    """List sources with their paths, and what their credentials have learned."""
    found = find_client(config).get("/sources")
    remedy = next((f"hookgate sources learn {each['name']}" for each in found["sources"] if _lacks(each)), "")
    remedy = remedy or "hookgate status"
    if as_json:
        write_json(found, remedy)
        return
    from gateway.runtime import Runtime  # noqa: PLC0415 - the clock, for people only

    now = Runtime().now_ms()
    columns = ["source", "provider", "path", "last event", "credentials"]
    table(columns, [_row(each, now) for each in found["sources"]])
    point(remedy)


@sources.command(
    epilog=examples("hookgate sources learn asana", "hookgate sources learn notion --credential main --for 1h --json")
)
@click.argument("source")
@click.option("--credential", default="", help="Which credential; needed if several of the source learn.")
@click.option("--for", "span_", metavar="TIME", default="15m", help="For how long, at most 24h. Default: 15m.")
@with_config
@with_json
def learn(config: Path, as_json: bool, source: str, credential: str, span_: str) -> None:
    """Believe the next secret that is said to SOURCE by a set-up request of its provider, one only.

    What was learned before is replaced, and not until then. Set the webhook up at the provider meanwhile.
    """
    from gateway.config.units import parse_duration  # noqa: PLC0415 - other verbs do without it

    try:
        seconds = parse_duration(span_)
    except ValueError as error:
        raise Failure(f"--for {span_!r}: {error}", "hookgate sources learn --help") from None
    body = {"seconds": seconds, **({"credential": credential} if credential else {})}
    found = find_client(config).post(f"/sources/{source}/learn", body)
    if as_json:
        write_json(found, "hookgate sources list")
        return
    say(f"{source} believes the next secret within {span(found['learning']['open_seconds'])}")
    say(f"it will be kept in {found['learning']['file']}; set the webhook up at the provider now")
    point("hookgate sources list")


@sources.command(epilog=examples("hookgate sources secret notion", "hookgate sources secret notion --json"))
@click.argument("source")
@click.option("--credential", default="", help="Which credential; needed if several of the source learn.")
@with_config
@with_json
def secret(config: Path, as_json: bool, source: str, credential: str) -> None:
    """Show the secret that SOURCE has learned, for a provider that wants it back (Notion).

    Read from its file, so that only root and the service's user can.
    """
    learning = _learning(find_client(config).get("/sources")["sources"], source, credential)
    if not learning["known"]:
        raise Failure(f"{source} has learned nothing yet", f"hookgate sources learn {source}")
    try:
        text = Path(learning["file"]).read_text()
    except OSError as error:
        raise Failure(
            f"{learning['file']}: {error.strerror}: only root and the service's user may read it",
            f"sudo hookgate sources secret {source}",
        ) from None
    if as_json:
        write_json({"secret": text}, "hookgate sources list")
        return
    click.echo(text)


def _learning(found: Sequence[Json], source: str, credential: str) -> Json:
    chosen = [each for each in found if each["name"] == source]
    credentials = [one for each in chosen for one in each["credentials"] if one["learning"]]
    fitting = [one for one in credentials if credential in {"", one["name"]}]
    if len(fitting) == 1:
        learning: Json = fitting[0]["learning"]
        return learning
    names = ", ".join(one["name"] for one in credentials) or "none"
    raise Failure(
        f"{source}: expected one credential that learns its secret, there are: {names}", "hookgate sources list"
    )


def _lacks(source: Json) -> bool:
    """Tell whether it waits for somebody to let it learn."""
    learning = [one["learning"] for one in source["credentials"] if one["learning"]]
    return any(not each["known"] and not each["open_seconds"] for each in learning)


def _row(source: Json, now: int) -> list[object]:
    told = ", ".join(_credential(one) for one in source["credentials"])
    last = ago_since_start(source["last_event_at"], now)
    return [source["name"], source["provider"], source["path"], last, told or UNKNOWN]


def _credential(one: Json) -> str:
    learning = one["learning"]
    if learning is None:
        return f"{one['name']} ({one['scheme']})"
    state = "learned" if learning["known"] else "NOT LEARNED"
    window = f", learns for {span(learning['open_seconds'])}" if learning["open_seconds"] else ""
    return f"{one['name']} ({one['scheme']}, {state}{window})"
