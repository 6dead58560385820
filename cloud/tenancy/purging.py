"""Removing for good what was deleted and is due: everything that hangs on it, but never its audit.

What hangs on it is read from the models themselves, so that a new table is purged without being named here: rows that
refer to it go, children first; where the reference says SET_NULL the row stays and forgets it. Evidence (the audit)
refers without holding (DO_NOTHING) and stays. Called by the worker. Tests:
tests/integration/cloud/tenancy/test_purging.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.apps import apps
from django.db import connection, models

from cloud.audit import seal
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.tenancy import scope, units
from cloud.tenancy.lifecycle import TenantStatus
from cloud.tenancy.models import Organization, Project, Unit, Workspace
from cloud.tenancy.transaction import recorded

_UNITS: tuple[type[Unit], ...] = (Project, Workspace, Organization)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What was removed."""

    kind: str
    id: UUID
    organization_id: UUID
    rows: int


def purge_due(*, now: datetime) -> list[Purged]:
    """Remove every project, workspace and organization whose grace is over. Opens the scopes it needs; safe to repeat,
    and beside itself."""
    done = []
    for model, unit_id, organization_id in _due(now):
        with scope.organization(organization_id):
            purged = _purge(model, unit_id, organization_id, now)
            # The organization is no more, so no sealer will come by.
            seal.organization_seal_all(organization_id)
        if purged is not None:
            done.append(purged)
    return done


def _due(now: datetime) -> list[tuple[type[Unit], UUID, UUID]]:
    with scope.operator():
        return [
            (model, unit.id, units.organization_of(unit))
            for model in _UNITS
            for unit in model._default_manager.filter(status=TenantStatus.DELETING, deletion_due_at__lte=now)
        ]


def _purge(model: type[Unit], unit_id: UUID, organization_id: UUID, now: datetime) -> Purged | None:
    with recorded("tenancy_change"):
        due = model._default_manager.select_for_update().filter(
            id=unit_id, status=TenantStatus.DELETING, deletion_due_at__lte=now
        )
        if not due.exists():
            return None  # Resumed meanwhile, or purged by another worker.
        counted = {step.table: step.run(unit_id) for step in _steps(model)}
        rows = sum(counted.values())
        kind = units.kind_of(model)
        audit.event_record(
            event_type=EventType(f"{kind}:purged"),
            principal=None,
            organization_id=organization_id,
            target_kind=kind,
            target_id=unit_id,
            details={"rows": {table: count for table, count in counted.items() if count}},
        )
    return Purged(kind=kind, id=unit_id, organization_id=organization_id, rows=rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    table: str
    sql: str

    def run(self, unit_id: UUID) -> int:
        with connection.cursor() as cursor:
            cursor.execute(self.sql, {"unit": unit_id})
            return max(cursor.rowcount, 0)


def _steps(root: type[Unit]) -> Iterator[_Step]:
    """Forget first, then delete children before their parents."""
    going = _dependents(root)
    conditions: dict[type[models.Model], str] = {root: "id = %(unit)s"}
    for model in going[1:]:
        held = [field for field in _references(model) if field.related_model in conditions and _holds(field)]
        conditions[model] = " OR ".join(f"{field.column} IN ({_selected(field, conditions)})" for field in held)
    for model in apps.get_models():
        for field in _references(model):
            if field.related_model in conditions and field.remote_field.on_delete is models.SET_NULL:
                yield _Step(
                    table=f"{model._meta.db_table}.{field.column}",
                    sql=f"UPDATE {model._meta.db_table} SET {field.column} = NULL "  # noqa: S608 - names of models
                    f"WHERE {field.column} IN ({_selected(field, conditions)})",
                )
    for model in reversed(going):
        yield _Step(
            table=model._meta.db_table,
            sql=f"DELETE FROM {model._meta.db_table} WHERE {conditions[model]}",  # noqa: S608 - names of models
        )


def _dependents(root: type[Unit]) -> list[type[models.Model]]:
    """The root and all that goes with it, each after everything that it refers to."""
    going: set[type[models.Model]] = {root}
    while found := {
        model
        for model in apps.get_models()
        if model not in going and any(_holds(field) and field.related_model in going for field in _references(model))
    }:
        going |= found
    ordered: list[type[models.Model]] = []
    while going:
        free = [model for model in going if not any(_target(f) in going - {model} for f in _holding(model))]
        ordered += sorted(free, key=lambda model: model._meta.label)
        going -= set(free)
    return ordered


def _holding(model: type[models.Model]) -> list[models.ForeignKey]:
    return [field for field in _references(model) if _holds(field)]


def _references(model: type[models.Model]) -> list[models.ForeignKey]:
    return [field for field in model._meta.concrete_fields if isinstance(field, models.ForeignKey)]


def _holds(field: models.ForeignKey) -> bool:
    return field.remote_field.on_delete in (models.PROTECT, models.CASCADE)


def _target(field: models.ForeignKey) -> type[models.Model]:
    return field.related_model


def _selected(field: models.ForeignKey, conditions: dict[type[models.Model], str]) -> str:
    """The rows that the field may refer to and that go, as a query."""
    return f"SELECT id FROM {_target(field)._meta.db_table} WHERE {conditions[_target(field)]}"  # noqa: S608 - models
