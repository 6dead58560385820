"""A row in every table of a tenant, made by looking at the models: a new table is never forgotten."""

import itertools
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import models

from cloud.tenancy import scope
from cloud.tenancy.models import Organization, Project
from local_daemon.protocol import ids
from tests.integration.cloud.tenants import Tenant

_NUMBERS = itertools.count(1)


def tenant_models() -> list[type[models.Model]]:
    """Every table that holds an organization's rows."""
    return [
        model
        for model in apps.get_models()
        if model is Organization or any(field.related_model is Organization for field in model._meta.fields)
    ]


def owner_column(model: type[models.Model]) -> str:
    """Where a row says whose it is."""
    return "id" if model is Organization else "organization_id"


Rows = dict[type[models.Model], Any]


def everything_make(tenant: Tenant, *, at: Mapping[type[models.Model], Any] | None = None) -> Rows:
    """At least one row of the tenant in every table. With `at`, a new row that belongs to those rows, wherever there
    can be two; what was made."""
    with scope.organization(tenant.id):
        known: Rows = dict(at or {})
        waiting = [model for model in tenant_models() if model not in known]
        while waiting:
            for model in waiting:
                if all(target in known for target in _targets(model)):
                    have = model._default_manager.first() if at is None or _is_one_a_tenant(model) else None
                    known[model] = have or _made(model, tenant.id, known)
            assert not set(waiting).isdisjoint(known), f"{waiting} refer to each other"
            waiting = [model for model in waiting if model not in known]
    return known


def _is_one_a_tenant(model: type[models.Model]) -> bool:
    return any(field.unique and field.related_model is Organization for field in model._meta.concrete_fields)


def _targets(model: type[models.Model]) -> set[type[models.Model]]:
    ours = set(tenant_models())
    found = {f.related_model for f in model._meta.concrete_fields if isinstance(f, models.ForeignKey)}
    return {target for target in found if target in ours and target is not model}


def _made(model: type[models.Model], organization_id: UUID, known: Rows) -> models.Model:
    facts: dict[str, Any] = {}
    for field in model._meta.concrete_fields:
        if isinstance(field, models.ForeignKey):
            if field.related_model in known:
                facts[field.attname] = known[field.related_model].pk
            elif not field.null:
                facts[field.attname] = field.related_model._default_manager.latest("id").pk
        elif field.name == "project_id" and Project in known:
            # Told without a reference, so that what happened outlives where; and by whose token.
            facts[field.name] = known[Project].pk
        elif field.name == "token_id":
            facts[field.name] = ids.new_uuid7()
        elif field.name in {"project_ids", "released_at", "revoked_at"} or (field.primary_key and field.has_default()):
            continue
        elif not (field.has_default() or field.null or isinstance(field, models.AutoField)):
            facts[field.name] = _value(field)
    if "workspace_id" in facts and "project_ids" in {field.name for field in model._meta.fields}:
        facts["role"] = "project_viewer"
    facts |= {} if model is Organization else {"organization_id": organization_id}
    return model._default_manager.create(**facts)


def _value(field: models.Field) -> Any:
    if field.choices:
        return field.choices[0][0]
    values: dict[type[models.Field], Any] = {
        models.DateTimeField: datetime.now(UTC),
        models.DateField: datetime.now(UTC).date(),
        models.BinaryField: os.urandom(32),
        models.UUIDField: ids.new_uuid7(),
        models.BooleanField: True,
        models.JSONField: {},
        ArrayField: [],
        models.EmailField: f"{os.urandom(4).hex()}@example.com",
    }
    for kind, value in values.items():
        if isinstance(field, kind):
            return value
    if isinstance(field, models.IntegerField | models.FloatField | models.DecimalField):
        return next(_NUMBERS)
    return "0 6 * * *" if field.name == "cron" else os.urandom(8).hex()[: field.max_length]
