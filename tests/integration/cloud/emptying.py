"""Emptying the database after a test that commits.

Django's own `flush` truncates every table, which makes each file of each of them anew, and then plays what follows a
migration: that takes longer than most tests. What a test leaves is a handful of rows. Where the server is our own they
are deleted instead, by its superuser, past triggers and row-level security. Used by conftest, for a whole session.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connection
from django.test import TransactionTestCase
from psycopg import sql

from cloud.schedules import declarations

_FURNISHED = ("auth_permission", "django_content_type")
"""What a migration fills, and no test changes for good."""
_HELD = sql.SQL("SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {} t")


@contextmanager
def emptying(superuser_url: str) -> Iterator[None]:
    """Tests that commit leave the database as it is now, just migrated."""
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    emptied = sorted({*tables}.difference(_FURNISHED))
    deletes = (sql.SQL("DELETE FROM {}").format(sql.Identifier(name)) for name in emptied)
    delete_all = sql.SQL("; ").join((sql.SQL("SET LOCAL session_replication_role = replica"), *deletes))
    flush = TransactionTestCase._fixture_teardown
    with psycopg.connect(superuser_url, autocommit=True) as server:
        held = _held(server)

        def empty(case: TransactionTestCase) -> None:
            nonlocal held
            if _held(server) != held:
                flush(case)
                held = _held(server)
                return
            with server.transaction():
                server.execute(delete_all)
            declarations.schedules_declare()

        TransactionTestCase._fixture_teardown = empty  # type: ignore[method-assign]
        try:
            yield
        finally:
            TransactionTestCase._fixture_teardown = flush  # type: ignore[method-assign]


def _held(server: psycopg.Connection) -> list[tuple[str, ...] | None]:
    """What the furnished tables hold."""
    return [server.execute(_HELD.format(sql.Identifier(name))).fetchone() for name in _FURNISHED]
