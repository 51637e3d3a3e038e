"""Targets and sources that have another name now, or none: what they own goes along, or is told.

Nothing here changes a configuration; what nobody takes over stays in the store.
"""

import structlog

from gateway.blueprint import Blueprint
from gateway.dispatch.memory import owned_notes
from gateway.ingress.learner import rename_learned
from gateway.runtime import Runtime
from gateway.store.contract import Rename, Store

log = structlog.get_logger()


async def rename_owned(blueprint: Blueprint, store: Store, runtime: Runtime) -> dict[str, str]:
    """Give each renamed target or source what it owned under its former name: backlog, de-dup keys, notes, secrets.

    Gives the targets' new names by their former ones. Raises StoreError: then all have the former ones.
    What the store holds all or none; a learned secret that cannot be renamed is found under its old name, too.
    """
    targets = [
        Rename("target", each.formerly, each.name, await owned_notes(store, each.formerly, each.name))
        for each in blueprint.targets.values()
        if each.formerly
    ]
    sources = [Rename("source", each.formerly, each.name) for each in blueprint.sources.values() if each.formerly]
    heirs: dict[str, str] = {}
    for done in await store.rename([*targets, *sources]):
        if done.kind == "target":
            heirs[done.formerly] = done.name
            log.info("target.renamed", target=done.name, formerly=done.formerly)
        else:
            log.info("source.renamed", source=done.name, formerly=done.formerly)
    if sources:
        try:
            renamed = await runtime.in_file_thread(lambda: rename_learned(blueprint))
        except OSError as error:
            log.warning("config.warned", problem=f"a learned secret keeps its old name, keep formerly: {error}")
            return heirs
        for formerly, name in renamed:
            log.info("secret.renamed", formerly=formerly, name=name)
    return heirs


def forsaken(blueprint: Blueprint, store: Store) -> list[str]:
    """Tell what waits for targets that the configuration does not name: nobody delivers it."""
    heirs = {plan.formerly: plan.name for plan in blueprint.targets.values() if plan.formerly is not None}
    return [
        f"{count} {'delivery waits' if count == 1 else 'deliveries wait'} for {name}, which the configuration does not "
        f"name: {_advice(name, heirs.get(name))}"
        for name in store.targets()
        if name not in blueprint.targets and (count := sum(store.backlog(name)[:2]))
    ]


def _advice(name: str, heir: str | None) -> str:
    if heir is None:
        return f'name it again, or write formerly = "{name}" in a new target that takes its place'
    return (
        f'[targets.{heir}] has formerly = "{name}", but had deliveries of its own before and keeps to those: '
        f"name {name} again until they are delivered"
    )
