"""No migration stops the code that is still running, or holds a lock that calls would wait for: ADR 0011."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.contrib.postgres import operations as postgres
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from cloud.tenancy import row_security

OURS = {app.label for app in apps.get_app_configs() if app.name.startswith("cloud.")}
# From before the first release: they ran on no database that anybody keeps. It does not grow: say `safe_because`.
EXEMPT = {
    ("access", "0002_token_kinds"),
    ("audit", "0002_pruning_and_pages"),
    ("connectors", "0003_presence"),
    ("runs", "0002_run_events"),
    ("schedules", "0001_audit_pruning_fence"),
    ("tenancy", "0002_audit_fence"),
    ("tenancy", "0003_tenants"),
    ("tenancy", "0004_workspace_active"),
}

_HARMLESS_SQL = re.compile(r"\s*(CREATE (OR REPLACE )?FUNCTION|COMMENT ON|SELECT 1\b)", re.IGNORECASE)
_INSTEAD = (postgres.AddIndexConcurrently, postgres.RemoveIndexConcurrently, postgres.AddConstraintNotValid)
_OLD_NAME = "the running code knows the old name."
_IN_USE = "the running code uses it; say unused_since, the release that stopped."
_REFUSED: dict[type[Operation], str] = {
    migrations.RemoveField: _IN_USE,
    migrations.DeleteModel: _IN_USE,
    migrations.RenameField: _OLD_NAME,
    migrations.RenameModel: _OLD_NAME,
    migrations.AlterModelTable: _OLD_NAME,
    migrations.AddIndex: "use AddIndexConcurrently, with atomic = False.",
    migrations.RemoveIndex: "use RemoveIndexConcurrently, with atomic = False.",
    migrations.AddConstraint: "use AddConstraintNotValid, and validate in another migration.",
    migrations.AlterUniqueTogether: "build the index concurrently.",
    migrations.RunPython: "change rows in batches, by a task.",
    migrations.RunSQL: "no test can read SQL.",
    row_security._TableOperation: "locks a table that is in use.",
}


@dataclass(frozen=True, kw_only=True)
class Found:
    """One migration, with the models as they were before it."""

    name: tuple[str, str]
    migration: migrations.Migration
    before: ProjectState


def every_migration() -> list[Found]:
    loader = MigrationLoader(None)
    return [
        Found(name=name, migration=migration, before=loader.project_state(name, at_end=False))
        for name, migration in sorted(loader.graph.nodes.items())
        if name[0] in OURS
    ]


def dangers(migration: migrations.Migration, before: ProjectState) -> list[str]:
    """What in it would stop or hold up the code that still runs, as sentences."""
    if len(str(getattr(migration, "safe_because", ""))) >= 20:
        return []
    state = before.clone()
    new: set[str] = set()
    found: list[str] = []
    for operation in migration.operations:
        if isinstance(operation, migrations.CreateModel):
            new.add(_table(migration.app_label, operation.name, operation.options))
        elif _table_of(migration.app_label, operation, state) not in new:
            found += _dangers_of(migration, operation, state)
        operation.state_forwards(migration.app_label, state)
    return found


def _table(app_label: str, name: str, options: dict[str, Any]) -> str:
    return str(options.get("db_table") or f"{app_label}_{name}").lower()


def _table_of(app_label: str, operation: Operation, state: ProjectState) -> str:
    if isinstance(operation, row_security._TableOperation):
        return operation.table
    if isinstance(operation, migrations.RunSQL):
        named = re.search(r"ALTER TABLE (\w+)|ON (\w+)", str(operation.sql))
        return (named.group(1) or named.group(2)) if named else ""
    name = str(getattr(operation, "model_name", getattr(operation, "name", ""))).lower()
    known = state.models.get((app_label, name))
    return _table(app_label, name, known.options if known else {})


def _dangers_of(migration: migrations.Migration, operation: Operation, state: ProjectState) -> list[str]:
    match operation:
        case migrations.AddField():
            faults = list(_new_column_faults(operation.field))
        case migrations.AlterField():
            before = state.models[migration.app_label, operation.model_name.lower()].fields[operation.name]
            faults = list(_changed_column_faults(before, operation.field))
        case migrations.RunSQL() if _HARMLESS_SQL.match(str(operation.sql)):
            faults = []
        case migrations.RemoveField() | migrations.DeleteModel() if getattr(migration, "unused_since", ""):
            faults = []
        case _:
            kinds = (kind for kind in _REFUSED if isinstance(operation, kind) and not isinstance(operation, _INSTEAD))
            faults = [_REFUSED[kind] for kind in kinds]
    return [f"{operation.describe()}: {fault}" for fault in faults]


def _new_column_faults(field: "models.Field[Any, Any]") -> Iterator[str]:
    if not field.null and not field.has_db_default() and not field.many_to_many:
        yield "the running code inserts without it; make it nullable or give it a db_default."
    if field.unique or field.db_index:
        yield "its index is built under a lock; say db_index=False and add it concurrently."
    if isinstance(field, models.ForeignKey) and field.db_constraint:
        yield "its constraint is checked under a lock; say db_constraint=False."


def _changed_column_faults(before: "models.Field[Any, Any]", after: "models.Field[Any, Any]") -> Iterator[str]:
    if before.null and not after.null:
        yield "NOT NULL is checked under a lock; add a constraint that is not valid first."
    types = [_type_of(field) for field in (before, after)]
    if types[0] != types[1] and not _is_longer_text(*types):
        yield f"{types[0]} becomes {types[1]}: the table is written anew under a lock."
    if (after.unique or after.db_index) and not (before.unique or before.db_index):
        yield "its index is built under a lock."


def _type_of(field: "models.Field[Any, Any]") -> str:
    if isinstance(field, models.ForeignKey):
        # Its model cannot be asked here, for the state is not rendered.
        return f"a reference to {str(field.remote_field.model).lower()}"
    return str(field.db_type(connection))


def _is_longer_text(before: str, after: str) -> bool:
    lengths = [re.fullmatch(r"varchar\((\d+)\)", one) for one in (before, after)]
    if lengths[0] is None:
        return False
    return after == "text" or (lengths[1] is not None and int(lengths[0][1]) <= int(lengths[1][1]))


@pytest.mark.parametrize("found", every_migration(), ids=lambda found: ".".join(found.name))
def test_a_migration_leaves_the_running_code_working(found: Found) -> None:
    faults = dangers(found.migration, found.before)
    if found.name in EXEMPT:
        assert faults, "It needs no exemption."
    else:
        assert not faults, f"docs/adr/0011 says how else, or say safe_because: {faults}"


_TEXT = models.CharField(max_length=10)
DANGEROUS = [
    migrations.AddField("thing", "more", models.CharField(max_length=10)),
    migrations.AddField("thing", "more", models.CharField(max_length=10, default="x")),
    migrations.AddField("thing", "more", models.CharField(max_length=10, null=True, db_index=True)),
    migrations.AddField("thing", "more", models.ForeignKey("thing", models.PROTECT, null=True, db_index=False)),
    migrations.RemoveField("thing", "label"),
    migrations.DeleteModel("thing"),
    migrations.RenameField("thing", "label", "title"),
    migrations.RenameModel("thing", "item"),
    migrations.AlterField("thing", "maybe", models.IntegerField()),
    migrations.AlterField("thing", "label", models.IntegerField()),
    migrations.AlterField("thing", "label", models.CharField(max_length=5)),
    migrations.AlterField("thing", "label", models.CharField(max_length=10, unique=True)),
    migrations.AddIndex("thing", models.Index(fields=["label"], name="thing_label")),
    migrations.AddConstraint("thing", models.UniqueConstraint(fields=["label"], name="thing_once")),
    migrations.AddConstraint("thing", models.CheckConstraint(condition=models.Q(maybe__gt=0), name="thing_positive")),
    migrations.RunPython(migrations.RunPython.noop),
    migrations.RunSQL("UPDATE shop_thing SET label = ''"),
    row_security.EnableRowSecurity("shop_thing"),
]
HARMLESS = [
    migrations.AddField("thing", "more", models.CharField(max_length=10, null=True)),
    migrations.AddField("thing", "more", models.IntegerField(db_default=0)),
    migrations.AlterField("thing", "label", models.CharField(max_length=20)),
    migrations.AlterField("thing", "label", models.TextField()),
    migrations.AlterField("thing", "label", models.CharField(max_length=10, null=True)),
    postgres.AddIndexConcurrently("thing", models.Index(fields=["label"], name="thing_label")),
    postgres.AddConstraintNotValid(
        "thing", models.CheckConstraint(condition=models.Q(maybe__gt=0), name="thing_positive")
    ),
    migrations.RunSQL("CREATE FUNCTION shop_find2() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$"),
]


def _shop() -> ProjectState:
    state = ProjectState()
    fields = [
        ("id", models.BigAutoField(primary_key=True)),
        ("label", _TEXT),
        ("maybe", models.IntegerField(null=True)),
    ]
    migrations.CreateModel("Thing", fields).state_forwards("shop", state)
    return state


def _migration(*operations: Operation, **said: str) -> migrations.Migration:
    made = type("Migration", (migrations.Migration,), {"operations": list(operations), **said})
    found: migrations.Migration = made("0002_next", "shop")
    return found


@pytest.mark.parametrize("operation", DANGEROUS, ids=lambda one: one.describe())
def test_what_would_stop_or_hold_up_calls_is_seen(operation: Operation) -> None:
    assert dangers(_migration(operation), _shop())


@pytest.mark.parametrize("operation", HARMLESS, ids=lambda one: one.describe())
def test_what_would_not_is_let_through(operation: Operation) -> None:
    assert dangers(_migration(operation), _shop()) == []


def test_a_new_table_may_have_everything_at_once() -> None:
    new = migrations.CreateModel("Order", [("id", models.BigAutoField(primary_key=True))])
    index = migrations.AddIndex("order", models.Index(fields=["id"], name="order_id"))
    assert dangers(_migration(new, index, row_security.EnableRowSecurity("shop_order")), _shop()) == []


def test_what_is_unused_since_a_release_may_go() -> None:
    assert dangers(_migration(migrations.RemoveField("thing", "label"), unused_since="0.2.0"), _shop()) == []


def test_a_reviewer_may_be_told_why_it_is_safe() -> None:
    said = "The table holds one row an installation."
    assert dangers(_migration(migrations.RunPython(migrations.RunPython.noop), safe_because=said), _shop()) == []
