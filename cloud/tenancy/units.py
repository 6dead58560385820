"""What organizations, workspaces and projects have in common: names, versions, and a life with a grace period.

Each change locks its row, compares the version that was read with the one that is there, and tells the audit.
Deliberately no service: `organizations`, `workspaces` and `projects` call this with rows within their grant's reach.
Tests: tests/integration/cloud/tenancy/test_units.py.
"""

from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Model, QuerySet
from django.utils.text import slugify

from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.tenancy import lifecycle, revocations
from cloud.tenancy.lifecycle import TenantEvent, TenantStatus
from cloud.tenancy.models import Organization, Project, Unit
from local_daemon.protocol import errors, limits

GRACE = timedelta(days=30)
"""How long what was deleted can be resumed."""
SLUG_CHARACTERS = 63

U = TypeVar("U", bound=Unit)
V = TypeVar("V", bound=Model)

_WORDS = MappingProxyType(
    {TenantEvent.SUSPEND: "suspended", TenantEvent.RESUME: "resumed", TenantEvent.DELETE: "deleted"}
)


def kind_of(model: type[Unit] | Unit) -> str:
    """What it is called in the audit."""
    return str(model._meta.model_name)


def name_checked(name: str) -> str:
    """The name as it is kept. Raises InvalidRequest."""
    kept = " ".join(name.split())
    if not kept or len(kept) > limits.TITLE_CHARACTERS:
        raise errors.InvalidRequest(f"A name has 1 to {limits.TITLE_CHARACTERS} characters.")
    return kept


def slug_of(name: str) -> str:
    """The short form of a name that stands in URLs. Raises InvalidRequest when nothing of it can."""
    slug = slugify(name)[:SLUG_CHARACTERS].strip("-")
    if not slug:
        raise errors.InvalidRequest(f"The name {name!r} has no letter or digit to make a slug of.")
    return slug


def slug_checked(slug: str) -> str:
    """A slug that somebody chose. Raises InvalidRequest."""
    if slug != slug_of(slug):
        raise errors.InvalidRequest("A slug has lower-case letters, digits and single hyphens, at most 63.")
    return slug


def row_lock(rows: QuerySet[V], row_id: UUID, *, expected_version: int | None) -> V:
    """The one row, locked until the transaction ends. Raises NotFound, and PreconditionFailed when it changed since it
    was read as `expected_version` (None: whatever it is now)."""
    # Weaker than FOR UPDATE: rows that merely refer to it may be inserted meanwhile.
    row = rows.select_for_update(no_key=True, of=("self",)).filter(id=row_id).first()
    if row is None:
        raise errors.NotFound
    version: int = row.version  # type: ignore[attr-defined]  # every row that is changed under one has it
    if expected_version is not None and version != expected_version:
        raise errors.PreconditionFailed(version=version)
    return row


def unit_create(unit: U, *, actor: audit.Actor | None) -> U:
    """Insert it. Raises InvalidRequest for a slug that is taken."""
    _save(unit, force_insert=True)
    _tell(unit, "created", actor, {"slug": unit_slug(unit)})
    return unit


def unit_update(unit: U, *, name: str | None, slug: str | None, actor: audit.Actor, **more: str) -> U:
    """Give a locked row another name or slug, or `more` of its own kind's. Raises InvalidRequest for a slug that is
    taken."""
    after = {
        "name": unit.name if name is None else name_checked(name),
        "slug": unit_slug(unit) if slug is None else slug_checked(slug),
        **more,
    }
    changes = {field: [getattr(unit, field), said] for field, said in after.items() if getattr(unit, field) != said}
    if changes:
        for field, said in after.items():
            setattr(unit, field, said)
        unit.version += 1
        _save(unit)
        _tell(unit, "updated", actor, changes)
    return unit


def unit_advance(unit: U, event: TenantEvent, *, actor: audit.Actor, now: datetime | None = None) -> U:
    """Suspend, resume or delete a locked row; what it then is already stays as it is.

    Raises InvalidTransition."""
    status = TenantStatus(unit.status)
    if lifecycle.is_done(status, event):
        return unit
    unit.status = lifecycle.advance(status, event).value
    due_at = (now or datetime.now(UTC)) + GRACE
    unit.deletion_due_at = due_at if unit.status == TenantStatus.DELETING else None
    unit.version += 1
    unit.save(update_fields=["status", "deletion_due_at", "version"])
    details = {"deletion_due_at": due_at.isoformat(timespec="seconds")} if unit.deletion_due_at else {}
    _tell(unit, _WORDS[event], actor, details)
    if event is not TenantEvent.RESUME:
        revocations.revocation_tell(revocations.Revoked(kind_of(unit)), unit.id)
    return unit


def unit_slug(unit: Unit) -> str:
    """Its slug."""
    return str(unit.slug)  # type: ignore[attr-defined]  # every concrete unit has one


def organization_of(unit: Unit) -> UUID:
    """Whose it is."""
    return unit.id if isinstance(unit, Organization) else unit.organization_id  # type: ignore[attr-defined]


def _save(unit: Unit, **options: Any) -> None:
    try:
        with transaction.atomic():
            unit.save(**options)
    except IntegrityError as error:
        raise errors.InvalidRequest(
            f"The slug {unit_slug(unit)!r} is taken.",
            errors=[{"field": "slug", "message": "Choose another one."}],
        ) from error


def _tell(unit: Unit, word: str, actor: audit.Actor | None, details: dict[str, Any]) -> None:
    kind = kind_of(unit)
    audit.event_record(
        event_type=EventType(f"{kind}:{word}"),
        principal=actor,
        organization_id=organization_of(unit),
        target_kind=kind,
        target_id=unit.id,
        project_id=unit.id if isinstance(unit, Project) else None,
        details=details,
    )
