"""What the operator says a status of an endpoint means, where that differs from the table in `verdicts`.

Pure. A key is one status ("404") or a class of them ("5xx"); the one status counts before its class.
"""

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

StatusVerdict: TypeAlias = Literal["delivered", "retry", "reject", "down", "close"]

_KEY: Final = re.compile(r"[2-5](?:xx|[0-9]{2})")


def check_statuses(statuses: dict[str, StatusVerdict]) -> dict[str, StatusVerdict]:
    """Check the operator's table. Raises ValueError for what is no status, or would lose or stop everything."""
    for key, verdict in statuses.items():
        if not _KEY.fullmatch(key):
            raise ValueError(f'expected a status from "200" to "599" or a class such as "5xx", found {key!r}')
        if key == "2xx" and verdict != "delivered":
            raise ValueError('"2xx" is always delivered, or nothing ever could be: write single statuses')
        if key.endswith("xx") and key != "2xx" and verdict == "delivered":
            raise ValueError(f'"{key}" = "delivered" would lose every message of an outage: write single statuses')
    return statuses


def spread(statuses: Mapping[str, StatusVerdict]) -> dict[int, StatusVerdict]:
    """Give the verdict of each single status that the table covers."""
    classes = {key: verdict for key, verdict in statuses.items() if key.endswith("xx")}
    spread = {int(key[0]) * 100 + n: verdict for key, verdict in classes.items() for n in range(100)}
    return spread | {int(key): verdict for key, verdict in statuses.items() if key not in classes}
