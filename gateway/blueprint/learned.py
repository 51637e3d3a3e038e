"""A credential whose secret the provider says at set-up: it proves nothing until then, and everything from then on.

Holds the secret in memory; whoever has heard a new one writes it to `file` first (`gateway.ingress.learner`).
"""

import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from gateway.core.model import Proof, Request
from gateway.errors import SecretNotLearnedError
from gateway.plugin import Verifier

FOLDER: Final = "learned"
"""Below the state folder."""
AGAIN_SECONDS: Final = 60.0


def learned_file(state: Path, source: str, credential: str) -> Path:
    """Give where the secret of a credential is kept; names hold no dot, so that no two share a file."""
    return state / FOLDER / f"{source}.{credential}"


class LearnedState(NamedTuple):
    """How a credential stands that learns its secret."""

    source: str
    credential: str
    known: bool
    open_seconds: float
    """For so long it still learns; 0: it does not."""
    file: str


class Learned:
    """A verifier in the place of the one that the secret will make."""

    def __init__(self, place: str, file: Path, make: Callable[[bytes], Verifier], secret: bytes | None) -> None:
        """Make the verifier if `secret` is known. Raises ValueError if it is unfit."""
        self.file = file
        self._place = place
        self._make = make
        self._secret = secret or b""
        self._verifier = make(secret) if secret else None

    @property
    def known(self) -> bool:
        """True once there is a secret."""
        return self._verifier is not None

    def is_secret(self, text: bytes) -> bool:
        """Tell whether `text` is the secret that is known; in constant time."""
        return self.known and hmac.compare_digest(text, self._secret)

    def fit(self, secret: bytes) -> None:
        """Raise ValueError if the scheme cannot work with `secret`."""
        self._make(secret)

    def learn(self, secret: bytes) -> None:
        """Go by `secret` from now on. Raises ValueError if it is unfit; nothing has changed then."""
        self._verifier, self._secret = self._make(secret), secret

    def verify(self, request: Request) -> Proof:
        """Prove `request`. Raises VerificationError, and SecretNotLearnedError while there is no secret."""
        if self._verifier is None:
            raise SecretNotLearnedError(
                f"{self._place} has not learned its secret: hookgate sources learn {self._place.partition('.')[0]}, "
                "then set the webhook up at the provider",
                AGAIN_SECONDS,
            )
        return self._verifier.verify(request)

    def sign(self, request: Request) -> Request:
        """Sign as the provider would. Raises ValueError while there is no secret."""
        if self._verifier is None:
            raise ValueError("it has not learned its secret yet")
        return self._verifier.sign(request)
