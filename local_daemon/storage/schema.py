"""Brings a record's file to the schema this version speaks: numbered migrations, each in one transaction.

It never goes back: a file of a newer version is refused before anything is read from it. Called by `Database.open`.
Tests: tests/unit/daemon/storage/test_schema.py.
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from local_daemon.storage import errors, instants

_FOLDER = Path(__file__).parent / "migrations"
_FILE_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One numbered change of the schema."""

    number: int
    name: str
    sql: str


def migrations_shipped() -> tuple[Migration, ...]:
    """Every migration of this version, in order."""
    found = []
    for path in sorted(_FOLDER.iterdir()):
        match = _FILE_NAME.fullmatch(path.name)
        if match is not None:
            found.append(Migration(number=int(match.group(1)), name=path.stem, sql=path.read_text(encoding="utf-8")))
    return tuple(found)


def schema_version(connection: sqlite3.Connection) -> int:
    """The number of the newest migration applied; 0 for a new file."""
    known = connection.execute("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'migrations'").fetchone()
    if known is None:
        return 0
    newest = connection.execute("SELECT max(number) FROM migrations").fetchone()[0]
    return int(newest or 0)


def schema_migrate(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """Apply what is missing. Raises SchemaTooNew if the file is ahead of `migrations`."""
    newest = max(migration.number for migration in migrations)
    if schema_version(connection) > newest:
        raise errors.SchemaTooNew(f"{errors.SchemaTooNew.__doc__} (its schema is ahead of {newest})")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations "
        "(number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT"
    )
    for migration in migrations:
        _apply(connection, migration)


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read under the lock: another process may have been starting at the same moment.
        if schema_version(connection) >= migration.number:
            connection.execute("ROLLBACK")
            return
        for statement in _statements(migration.sql):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO migrations (number, name, applied_at) VALUES (?, ?, ?)",
            (migration.number, migration.name, instants.instant_text(datetime.now(UTC))),
        )
    except sqlite3.Error:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _statements(sql: str) -> Iterator[str]:
    """One statement after the other; `executescript` would commit in between."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if statement.strip() and sqlite3.complete_statement(statement):
            yield statement
            statement = ""
