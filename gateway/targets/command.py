"""The command of a `shell` target: a fixed program and a list of arguments, filled from one message.

Nothing here is ever text for a shell. A value of the payload is always within one argument; it cannot become an option,
because an argument that begins with a value must not begin with `-` unless a piece `--` stands before it; and it cannot
choose the program.
"""

import re
import shlex
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Final

import orjson

from gateway.plugin import Message, Scope, Template, message_field, parse_template

PIECES_MAX: Final = 256
PIECE_BYTES_MAX: Final = 131_071
"""Linux takes no longer argument or variable (MAX_ARG_STRLEN, with the byte that ends it)."""

_FIELDS: Final = re.compile(r"event\.(id|type|version|source|occurred_at)|source|body\..+")
_SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "csh", "tcsh", "busybox"})
_TAKES_TEXT: Final = re.compile(r"-[a-zA-Z]*c[a-zA-Z]*")
"""`-c`, `-ec`, `-lc`: what follows is a shell's program."""


def check_list(value: Any) -> Any:  # noqa: ANN401 - whatever the operator wrote
    """Give a list as a tuple; refuse a command in one text, and say the list that it should be. Raises ValueError."""
    if isinstance(value, str):
        try:
            pieces = shlex.split(value) or [value]
        except ValueError:
            pieces = value.split()
        listed = ", ".join(f'"{piece}"' for piece in pieces)
        problem = f"expected a list, one piece for each argument, found one text: write [{listed}]"
        raise ValueError(problem)  # noqa: TRY004 - pydantic wants it
    return tuple(value) if isinstance(value, list) else value


def check_pieces(pieces: tuple[str, ...]) -> tuple[str, ...]:
    """Check a command as the operator writes it. Raises ValueError that tells what is wrong."""
    Command(pieces)
    return pieces


class Command:
    """A command, compiled."""

    def __init__(self, pieces: Sequence[str]) -> None:
        if not 1 <= len(pieces) <= PIECES_MAX:
            raise ValueError(f"expected the program and its arguments, 1 to {PIECES_MAX} pieces, found {len(pieces)}")
        templates = [parse_template(piece, message_field) for piece in pieces]
        if not pieces[0].startswith("/") or templates[0].selectors or "\0" in "".join(pieces):
            raise ValueError(f"expected the absolute path of a program first, without {{…}}, found {pieces[0]!r}")
        for template in templates:
            _check_fields(template)
        _check_no_shell_text(pieces, templates)
        self._templates = templates
        self._reads_body = any(selector.root == "body" for each in templates for selector in each.selectors)

    def arguments(self, message: Message) -> tuple[str, ...]:
        """Fill the command from `message`. Raises ValueError, without a value, for what cannot be an argument."""
        try:
            body = orjson.loads(message.payload) if self._reads_body else None
        except ValueError:
            raise ValueError("the payload is no JSON, so nothing of it can be an argument") from None
        scope = Scope(request=None, body=body, claims=None, event=message, source=message.source)
        arguments: list[str] = []
        guarded = False
        for template in self._templates:
            argument = template.render(scope)
            check_text(argument, template.text)
            if argument.startswith("-") and template.text.startswith("{") and template.selectors and not guarded:
                raise ValueError(f'{template.text} begins with "-" and would be an option: put a piece "--" before it')
            guarded = guarded or template.text == "--"
            arguments.append(argument)
        return tuple(arguments)


def check_text(text: str, name: str) -> None:
    """Refuse what cannot be an argument or variable. Raises ValueError that names it, without the value."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{name} holds half a character (a lone surrogate)") from None
    if "\0" in text:
        raise ValueError(f"{name} holds a NUL character")
    if size > PIECE_BYTES_MAX:
        raise ValueError(f"{name} is longer than {PIECE_BYTES_MAX} bytes: read it from standard input")


def _check_fields(template: Template) -> None:
    unfit = [each.text for each in template.selectors if each.root != "field" and not _FIELDS.fullmatch(each.text)]
    if unfit:
        raise ValueError(f"{{{unfit[0]}}} cannot stand in a command: expected body.…, event.type, event.id or source")


def _check_no_shell_text(pieces: Sequence[str], templates: Sequence[Template]) -> None:
    shell = text_follows = False
    for piece, template in zip(pieces, templates, strict=True):
        if text_follows and template.selectors:
            raise ValueError(
                f"{piece!r} would be text for a shell with values of the payload in it: hand them over as arguments, "
                'as in ["/bin/sh", "-c", "echo \\"$1\\"", "--", "{body.id}"]'
            )
        text_follows = shell and bool(_TAKES_TEXT.fullmatch(piece))
        shell = shell or PurePath(piece).name in _SHELLS
