"""Brings a store's schema up to date: numbered files, each in one transaction together with its number.

A process that is killed anywhere leaves the schema of one version, whole. A newer schema is refused; nothing is ever
undone.
"""

import re
from typing import Final

import apsw

from gateway.errors import StoreError
from gateway.store.statements import FOLDER

_FILE_NAME: Final = re.compile(r"(\d{4})_\w+\.sql")


def migrations() -> list[tuple[int, str]]:
    """Give all migrations in order: number and text."""
    found = ((_FILE_NAME.fullmatch(path.name), path) for path in (FOLDER / "migrations").iterdir())
    return sorted((int(match[1]), path.read_text("utf-8")) for match, path in found if match)


def schema_version(connection: apsw.Connection) -> int:
    """Read the number of the last migration that was carried out; 0 for a new file."""
    number: int = connection.pragma("user_version")
    return number


def migrate(connection: apsw.Connection, steps: list[tuple[int, str]] | None = None) -> int:
    """Carry out the migrations that are missing; give their number. Raises StoreError for a schema newer than ours."""
    steps = migrations() if steps is None else steps
    version, newest = schema_version(connection), steps[-1][0]
    if version > newest:
        raise StoreError(
            f"{connection.filename}: its schema is number {version}, this version knows up to {newest}; "
            "start the version that wrote it, or a newer one"
        )
    missing = [(number, text) for number, text in steps if number > version]
    for number, text in missing:
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(text)
            connection.pragma("user_version", number)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return len(missing)
