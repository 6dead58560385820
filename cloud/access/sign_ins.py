"""People's sign-ins in the audit of the organizations they belong to: that they came, left, or failed to come in.

Django tells these by its own signals, from whatever form; they are no domain signals of ours. An operator's are told to
the installation's own chain, as are those of who belongs nowhere; somebody whom nobody knows is in the log only.
Registered by the wiring. Tests: tests/integration/cloud/access/test_sign_ins.py.
"""

import contextvars
import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib.auth import signals
from django.http import HttpRequest

from cloud.access import people, sign_in_limits
from cloud.accounts.models import User
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.audit.models import Outcome
from cloud.tenancy import scope
from cloud.tenancy.actors import PersonActor
from cloud.tenancy.transaction import recorded

logger = logging.getLogger(__name__)


def register() -> None:
    """Hear of sign-ins in this process."""
    signals.user_logged_in.connect(_signed_in, dispatch_uid="ropeway-signed-in")
    signals.user_logged_out.connect(_signed_out, dispatch_uid="ropeway-signed-out")
    signals.user_login_failed.connect(_failed, dispatch_uid="ropeway-sign-in-failed")


def _signed_in(*, request: HttpRequest | None, user: User, **_signal: Any) -> None:
    _tell(EventType.USER_SIGNED_IN, user, request)


def _signed_out(*, request: HttpRequest | None, user: User | None, **_signal: Any) -> None:
    if user is not None:
        _tell(EventType.USER_SIGNED_OUT, user, request)


def _failed(*, credentials: Mapping[str, Any], request: HttpRequest | None = None, **_signal: Any) -> None:
    email = str(credentials.get("username") or credentials.get("email") or "").strip().lower()
    user = User.objects.filter(email=email).first() if email and "\x00" not in email else None
    attempt = sign_in_limits.attempt_last()
    is_refused = attempt is not None and attempt.is_refused
    facts = {"is_known": user is not None, "is_refused": is_refused, "client_address": _address(request)}
    logger.warning("sign-in failed", extra={"event": "user.sign_in_failed", **facts})
    if user is None:
        return
    # Who goes on guessing must not fill the audit.
    if attempt is None or attempt.is_told:
        _tell(EventType.USER_SIGN_IN_REFUSED if is_refused else EventType.USER_SIGN_IN_FAILED, user, request)


def _tell(event_type: EventType, user: User, request: HttpRequest | None) -> None:
    for organization_id in people.chains_of(user, is_operators=user.is_superuser):
        # A context of its own: the scope that is open may be another organization's.
        contextvars.Context().run(_record, event_type, user, organization_id, _address(request))


def _record(event_type: EventType, user: User, organization_id: UUID, address: str | None) -> None:
    has_failed = event_type in (EventType.USER_SIGN_IN_FAILED, EventType.USER_SIGN_IN_REFUSED)
    with scope.organization(organization_id), recorded("sign_in"):
        audit.event_record(
            event_type=event_type,
            # Who failed has not shown to be that person.
            principal=None if has_failed else PersonActor.of(user, organization_id=organization_id),
            organization_id=organization_id,
            target_kind="user",
            target_id=user.id,
            outcome=Outcome.ERROR if has_failed else Outcome.OK,
            client_address=address,
            details={"email": user.email},
        )


def _address(request: HttpRequest | None) -> str | None:
    return request.META.get("REMOTE_ADDR") or None if request is not None else None
