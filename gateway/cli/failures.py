"""Errors of the command line: what went wrong, where, and the next useful command."""

import json
from collections.abc import Sequence
from typing import IO, Any

import click

from gateway.cli.options import pasteable


class Failure(click.ClickException):
    """The verb could not do what was asked; `remedy` is what to do next. Exit status 1.

    `problems` are shown below the message, one a line; as JSON they are a list.
    """

    def __init__(self, message: str, remedy: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = list(problems)
        self.remedy = pasteable(remedy)
        # Asked here, because click has left the verb's context when it shows the error.
        context = click.get_current_context(silent=True)
        self.as_json = context is not None and bool(context.params.get("as_json"))

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the error to standard error, as JSON if the verb was asked for JSON."""
        if self.as_json:
            listed = {"problems": self.problems} if self.problems else {}
            text = json.dumps({"error": self.message, **listed, "next": self.remedy})
        else:
            text = "\n       ".join([f"error: {self.message}", *self.problems]) + f"\nnext:  {self.remedy}"
        click.echo(text, file=file, err=file is None)


class NotRunning(Failure):
    """No daemon answers on the admin listener. Exit status 3."""

    exit_code = 3

    def __init__(self, address: str, why: str) -> None:
        remedy = "systemctl status hookgate, or start it: hookgate run"
        super().__init__(f"the daemon does not answer on {address}: {why}", remedy)
