"""The options of a kind, as the operator writes them: a model that documents itself."""

from collections.abc import Sequence
from typing import TypeVar

from pydantic import ConfigDict

from gateway.config.described import Described


class Options(Described):
    """The base of a plugin's options: frozen, unknown keys refused, field docstrings used as documentation.

    A field of type `SecretText` takes a reference to a secret, one of type `TemplateFile` the path of a template; the
    gateway reads both, and a new content counts as a change of the target. A field `smtp: Smtp` gets the table
    `[smtp]`, with the keys that the target's own `smtp` table says anew.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    def warnings(self) -> Sequence[tuple[str, str]]:
        """Give what works but is probably not meant, as key and sentence: `hookgate check` and the log tell it."""
        return ()


OptionsT = TypeVar("OptionsT", bound=Options)
