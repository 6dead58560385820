"""What becomes of people's accounts, in the audit: made, changed, given another password; by whom, and from where.

Django's own forms and commands write accounts and call no service of ours, so they are heard of as sign-ins are: by
Django's own signal, before the row is written and in its transaction. Told to every organization that the person
belongs to, and to the installation's own chain where they operate it or belong nowhere. Registered by the wiring.
Tests: tests/integration/cloud/access/test_people.py.
"""

import contextvars
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from django.db.models import signals

from cloud.accounts.models import User
from cloud.audit import origin
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.audit.installation import INSTALLATION
from cloud.tenancy import scope, selectors
from cloud.tenancy.actors import PersonActor
from cloud.tenancy.transaction import recorded

_TOLD = ("email", "full_name", "is_active", "is_staff", "is_superuser")

_acting: ContextVar[User | None] = ContextVar("acting_person", default=None)


def register() -> None:
    """Hear of accounts that are written in this process."""
    signals.pre_save.connect(_saved, sender=User, dispatch_uid="ropeway-person-saved")


@contextmanager
def acting(user: User | None) -> Iterator[None]:
    """Everything inside is done by them; by the installation where nobody is said."""
    token = _acting.set(user)
    try:
        yield
    finally:
        _acting.reset(token)


def chains_of(user: User, *, is_operators: bool) -> list[UUID]:
    """Whom to tell of this person: each organization that they belong to, and the installation where they operate it
    or belong to none."""
    # A context of its own: the scope that is open may be another organization's.
    memberships = contextvars.Context().run(selectors.memberships_of, user.id)
    chains = [membership.organization_id for membership in memberships]
    return chains if chains and not is_operators else [*chains, INSTALLATION]


def _saved(*, instance: User, update_fields: Collection[str] | None, **_signal: Any) -> None:
    written = {*_TOLD, "password"} if update_fields is None else set(update_fields)
    if not written.intersection({*_TOLD, "password"}):
        return  # That they signed in, which is told where they do.
    before = User.objects.filter(pk=instance.pk).values(*_TOLD).first()
    if before is None:
        rights = {name: getattr(instance, name) for name in ("email", "is_staff", "is_superuser")}
        _tell(EventType.USER_CREATED, instance, rights, is_operators=instance.is_superuser)
        return
    is_operators = before["is_superuser"] or instance.is_superuser
    now = {name: getattr(instance, name) for name in _TOLD if name in written}
    changed = {name: [before[name], value] for name, value in now.items() if value != before[name]}
    if changed:
        _tell(EventType.USER_CHANGED, instance, {"changed": changed}, is_operators=is_operators)
    # Django keeps the text of a new password until it is saved; without, the same one is hashed in a newer way.
    if "password" in written and getattr(instance, "_password", None) is not None:
        _tell(EventType.USER_PASSWORD_CHANGED, instance, {"email": before["email"]}, is_operators=is_operators)


def _tell(event_type: EventType, user: User, details: Mapping[str, Any], *, is_operators: bool) -> None:
    actor, address = _acting.get(), origin.client_address()
    for organization_id in chains_of(user, is_operators=is_operators):
        contextvars.Context().run(_record, event_type, user, organization_id, actor, address, details)


def _record(
    event_type: EventType,
    user: User,
    organization_id: UUID,
    actor: User | None,
    address: str | None,
    details: Mapping[str, Any],
) -> None:
    with scope.organization(organization_id), recorded("person_tell"):
        audit.event_record(
            event_type=event_type,
            principal=None if actor is None else PersonActor.of(actor, organization_id=organization_id),
            organization_id=organization_id,
            target_kind="user",
            target_id=user.id,
            client_address=address,
            details=details,
        )
