"""Conformance of a store: run these checks against your own; the gateway's SQLite and memory stores pass them all.

`STORE_CHECKS` are named async functions, each of which takes an `OpenStore` on an empty store, so that pytest can
parametrize over checks and stores. A store that passes keeps the contract of `gateway.store.contract` as far as one
process can tell; that it survives kill -9 and power loss is for its own tests to show.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from gateway.testing.store_accept import ACCEPT_CHECKS
from gateway.testing.store_audit import AUDIT_CHECKS
from gateway.testing.store_deliver import DELIVER_CHECKS
from gateway.testing.store_desk import OpenStore, SteppedRuntime
from gateway.testing.store_expiry import EXPIRY_CHECKS
from gateway.testing.store_keep import KEEP_CHECKS
from gateway.testing.store_manners import MANNERS_CHECKS
from gateway.testing.store_operate import OPERATE_CHECKS
from gateway.testing.store_operator import OPERATOR_CHECKS
from gateway.testing.store_order import ORDER_CHECKS
from gateway.testing.store_repeats import REPEAT_CHECKS
from gateway.testing.store_turns import TURN_CHECKS

__all__ = ["STORE_CHECKS", "OpenStore", "SteppedRuntime", "StoreCheck", "check_store"]

StoreCheck: TypeAlias = Callable[[OpenStore], Awaitable[None]]

STORE_CHECKS: Final[tuple[StoreCheck, ...]] = (
    *ACCEPT_CHECKS,
    *REPEAT_CHECKS,
    *DELIVER_CHECKS,
    *ORDER_CHECKS,
    *TURN_CHECKS,
    *OPERATE_CHECKS,
    *OPERATOR_CHECKS,
    *AUDIT_CHECKS,
    *KEEP_CHECKS,
    *EXPIRY_CHECKS,
    *MANNERS_CHECKS,
)


async def check_store(empty_store: Callable[[], OpenStore]) -> None:
    """Run every check, each on its own empty store. Raises AssertionError with the claim that does not hold."""
    for check in STORE_CHECKS:
        await check(empty_store())
