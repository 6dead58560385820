"""A file is brought up to date once, whole or not at all, and never backwards."""

import sqlite3
from pathlib import Path

import pytest

from local_daemon.storage import database, schema
from local_daemon.storage import errors as storage_errors

ONE = schema.Migration(
    number=1, name="0001_one", sql="CREATE TABLE one (a); -- a comment;\nINSERT INTO one VALUES (';');"
)
BROKEN = schema.Migration(number=2, name="0002_two", sql="CREATE TABLE two (a);\nCREATE TABLE one (b);")


def _open() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)


def test_migrations_are_numbered_from_one_without_gaps() -> None:
    numbers = [migration.number for migration in schema.migrations_shipped()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_migration_is_applied_once() -> None:
    connection = _open()
    schema.schema_migrate(connection, [ONE])
    schema.schema_migrate(connection, [ONE])
    assert connection.execute("SELECT count(*) FROM one").fetchone() == (1,)
    assert schema.schema_version(connection) == 1
    connection.close()


def test_a_migration_that_fails_leaves_no_trace() -> None:
    connection = _open()
    schema.schema_migrate(connection, [ONE])
    with pytest.raises(sqlite3.OperationalError):
        schema.schema_migrate(connection, [ONE, BROKEN])
    assert schema.schema_version(connection) == 1
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert tables == {"migrations", "one"}
    connection.close()


def test_a_record_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    connection = database.writer_open(path)
    connection.execute("INSERT INTO migrations VALUES (9999, '9999_future', '2026-01-01')")
    connection.close()
    with pytest.raises(storage_errors.SchemaTooNew):
        database.writer_open(path)
