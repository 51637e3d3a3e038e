"""Tells a name that nobody knows from one without events or deliveries: a slip would look like peace."""

from gateway.admin.operations import Operations, no_source, no_target
from gateway.blueprint import OWN_SOURCE


async def check_target(operations: Operations, target: str | None) -> None:
    """Refuse a target that neither the configuration nor the store knows. Raises NotPossibleError."""
    if target is None:
        return
    known = {each.name for each in (await operations.status()).targets}
    if target not in known:
        raise no_target(target, known)


async def check_source(operations: Operations, source: str | None) -> None:
    """Refuse a source that is not configured; for those of which nothing was found. Raises NotPossibleError."""
    if source is None:
        return
    known = {OWN_SOURCE, *(each.name for each in (await operations.status()).sources)}
    if source not in known:
        raise no_source(source, known)
