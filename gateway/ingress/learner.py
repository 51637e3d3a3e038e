"""Secrets that providers say at set-up: who may learn one, until when, and that it is on disk before it counts.

A credential learns only while an operator lets it, once: whoever else says a secret, before or after, changes nothing.
Windows are in memory, so that a restart closes them; what was learned outlives it.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from gateway.blueprint import Blueprint, Source
from gateway.blueprint.learned import Learned, LearnedState, learned_file
from gateway.errors import RequestError, StoreError, VerificationError
from gateway.ingress.secret_file import is_kept, rename_secret, write_secret
from gateway.metrics import Counters
from gateway.runtime import Runtime

WINDOW_SECONDS_MAX: Final = 86_400.0

Tell = Callable[[str, str, Mapping[str, Any]], object]
"""Makes an own event: kind, subject, data."""


class Learner:
    """One per daemon, so that a reload keeps its windows."""

    def __init__(self, blueprint: Blueprint, counters: Counters, tell: Tell, runtime: Runtime) -> None:
        self._counters = counters
        self._tell = tell
        self._runtime = runtime
        self._sources = blueprint.sources
        self._windows: dict[tuple[str, str], float] = {}
        """By source and credential, until when on the monotonic clock it may learn."""
        self._heard: dict[tuple[str, str], bytes] = {}
        """What was learned since the last reload: one that is being built may have missed it."""

    def use(self, blueprint: Blueprint) -> None:
        """Go by `blueprint` from now on; a renamed source goes on learning what it was let to."""
        self._sources = blueprint.sources
        names = {each.formerly: name for name, each in blueprint.sources.items() if each.formerly}
        self._windows = {(names.get(source, source), each): until for (source, each), until in self._windows.items()}
        for (source, credential), secret in self._heard.items():
            learned = self._find(names.get(source, source), credential)
            # What was taken away or written by hand meanwhile counts as the reload has read it.
            if learned is not None and not learned.is_secret(secret) and is_kept(learned.file, secret):
                with suppress(ValueError):  # unfit by the new rules, which the next reload tells
                    learned.learn(secret)
        self._heard.clear()

    def states(self) -> list[LearnedState]:
        """Tell of every credential that learns its secret."""
        return [
            self._state(source.name, each.name, each.learned)
            for source in self._sources.values()
            for each in source.credentials
            if each.learned is not None
        ]

    def open(self, source: str, credential: str, seconds: float) -> LearnedState | None:
        """Let a credential learn one secret within `seconds`; None if it is none that learns."""
        learned = self._find(source, credential)
        if learned is None:
            return None
        self._windows[source, credential] = self._runtime.monotonic() + seconds
        return self._state(source, credential, learned)

    async def take(self, source: Source, secret: bytes, client: str) -> None:
        """Keep what the provider says, if one of the source's credentials may learn; it is durable, and counts, then.

        The caller keeps the source from being renamed meanwhile (`Intake.steady`): its file would get the old name.
        Nothing is learned from who says what is known already, or where no credential learns. Raises VerificationError
        (403) if no window is open, RequestError (400) for what cannot be a secret, StoreError if it cannot be kept.
        """
        learning = [(each.name, each.learned) for each in source.credentials if each.learned is not None]
        if not learning or any(learned.is_secret(secret) for _, learned in learning):
            return
        name, learned = next((each for each in learning if self._left(source.name, each[0])), ("", None))
        if learned is None:
            raise VerificationError(
                "handshake_closed",
                f"somebody said a secret that nobody waits for; if it is meant: hookgate sources learn {source.name}",
                status=403,
            )
        try:
            learned.fit(secret)
        except ValueError as error:
            raise RequestError(400, "handshake", f"what is said cannot be the secret: {error}") from None
        await self._keep((source.name, name), learned, secret)
        self._counters.sources[source.name].learned += 1
        found = {"source": source.name, "credential": name, "client": client}
        self._tell("secret.learned", f"{source.name}.{name}", found)

    async def _keep(self, place: tuple[str, str], learned: Learned, secret: bytes) -> None:
        until = self._windows.pop(place)  # before anything is awaited: of two that race one is heard
        try:
            await self._runtime.in_file_thread(lambda: write_secret(learned.file, secret))
        except OSError as error:
            self._windows[place] = until
            raise StoreError(f"the learned secret cannot be written to {learned.file}: {error.strerror}") from None
        self._heard[place] = secret
        for each in {learned, self._find(*place) or learned}:  # a reload may have taken its place meanwhile
            each.learn(secret)

    def _find(self, source: str, credential: str) -> Learned | None:
        credentials = self._sources[source].credentials if source in self._sources else ()
        return next((each.learned for each in credentials if each.name == credential), None)

    def _left(self, source: str, credential: str) -> float:
        return max(0.0, self._windows.get((source, credential), 0.0) - self._runtime.monotonic())

    def _state(self, source: str, credential: str, learned: Learned) -> LearnedState:
        return LearnedState(source, credential, learned.known, self._left(source, credential), str(learned.file))


def rename_learned(blueprint: Blueprint) -> list[tuple[str, str]]:
    """Give what renamed sources had learned their new names; give the old and new ones. Raises OSError."""
    done = []
    for source in blueprint.sources.values():
        for each in source.credentials:
            if source.formerly and each.learned is not None:
                former = learned_file(blueprint.places.state, source.formerly, each.name)
                if rename_secret(former, each.learned.file):
                    done.append((former.name, each.learned.file.name))
    return done
