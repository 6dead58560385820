"""Many rows in one statement, which travels with the commit: how a batch of events is written.

The rows go as one JSON document that the database takes apart, so a statement's text does not grow with the batch, and
nothing of it waits for an answer. Deliberately not the ORM's bulk_create: that asks for the new keys back, a round trip
a table. Called in an open `recorded` change. Tests: tests/integration/cloud/runs/test_services.py.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Model

from cloud.tenancy.transaction import execute_later


def rows_insert(model: type[Model], rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows given by column; all have the same columns. A conflict fails the commit."""
    _write(model, list(rows), "")


def rows_upsert(model: type[Model], rows: Iterable[Mapping[str, Any]], *, key: Sequence[str]) -> None:
    """Insert rows, or overwrite the ones that have the same `key`; their `id` stays."""
    given = list(rows)
    kept = {*key, "id"}
    if given:
        changes = ", ".join(f"{name} = EXCLUDED.{name}" for name in given[0] if name not in kept)
        _write(model, given, f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}")


def _write(model: type[Model], rows: Sequence[Mapping[str, Any]], conflict: str) -> None:
    if rows:
        execute_later(_insert(model, tuple(rows[0])) + conflict, [json.dumps(rows, default=_spelled)])


@cache
def _insert(model: type[Model], columns: tuple[str, ...]) -> str:
    types = {field.column: field.db_type(connection) for field in model._meta.local_concrete_fields}
    named = ", ".join(columns)
    shaped = ", ".join(f"{column} {types[column]}" for column in columns)
    table = model._meta.db_table
    # Names of our own models only; what was sent stands in the one parameter.
    return f"INSERT INTO {table} ({named}) SELECT {named} FROM jsonb_to_recordset(%s::jsonb) AS given({shaped})"  # noqa: S608


def _spelled(value: object) -> str:
    match value:
        case UUID():
            return str(value)
        case datetime():
            return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a row.")
