"""How a machine comes to an organization: by a one-time code, or by a claim that a person makes.

Either way the machine proves possession of its key, one Connector and one Claim are made, and the audit tells by whom.
`connector_enroll` and the pending ones speak for machines that belong to nobody yet: call them with no scope open. The
others run in their grant's scope. Tests: tests/integration/cloud/connectors/test_enrollment.py.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction

from cloud.access import credentials
from cloud.access.principals import Grant
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.connectors import claims, guesses, proofs
from cloud.connectors.actors import ConnectorActor
from cloud.connectors.models import Claim, Connector, EnrollmentCode, PendingConnector
from cloud.tenancy import grants, scope
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import enrollment, errors, ids
from local_daemon.protocol.scopes import Scope

ENROLLMENT_TTL_MAX = timedelta(days=30)
PENDING_TTL = timedelta(minutes=15)
PENDING_MAX = 5_000
"""Machines that may wait to be claimed at once, over all: the door is open to anyone."""
_CODE_EXPIRED = "This claim code has expired; the machine shows a new one when it registers again."


@grants.needs(Scope.CONNECTORS_WRITE)
def enrollment_code_create(*, grant: Grant, ttl: timedelta, label: str = "") -> tuple[EnrollmentCode, str]:
    """A one-time code for what the grant names (a project, a workspace, else the organization), and its text, which is
    shown this once. Raises Forbidden for who reaches less, InvalidRequest."""
    if not timedelta(0) < ttl <= ENROLLMENT_TTL_MAX:
        raise errors.InvalidRequest("A code is good for at most 30 days.")
    claims.claimable_check(grant=grant)
    code = credentials.enrollment_code_new()
    with recorded("enrollment_code_create"):
        row = EnrollmentCode.objects.create(
            organization_id=grant.organization_id,
            workspace_id=grant.workspace_id,
            project_id=grant.project_id,
            label=label,
            digest=_code_digest(code),
            created_by=grant.principal.label,
            expires_at=datetime.now(UTC) + ttl,
        )
        audit.event_record(
            event_type=EventType.ENROLLMENT_CODE_CREATED,
            principal=grant.principal,
            target_kind="enrollment_code",
            target_id=row.id,
            project_id=grant.project_id,
        )
    return row, code


@grants.needs(Scope.CONNECTORS_WRITE)
def enrollment_code_revoke(*, grant: Grant, code_id: UUID) -> EnrollmentCode:
    """End a code that no machine has used; ending it again changes nothing. Raises NotFound, InvalidTransition for one
    that was used."""
    with recorded("connector_change"):
        rows = EnrollmentCode.objects.select_for_update().filter(organization_id=grant.organization_id)
        row = rows.filter(id=code_id).first()
        if row is None or not grants.reaches_project(
            grant.principal, project_id=row.project_id, workspace_id=row.workspace_id
        ):
            raise errors.NotFound
        if row.used_at is not None:
            raise errors.InvalidTransition("A machine has used this code; disable or release the machine.")
        if row.revoked_at is None:
            row.revoked_at = datetime.now(UTC)
            row.save(update_fields=["revoked_at"])
            audit.event_record(
                event_type=EventType.ENROLLMENT_CODE_REVOKED,
                principal=grant.principal,
                target_kind="enrollment_code",
                target_id=row.id,
                project_id=row.project_id,
            )
    return row


def connector_enroll(
    *, code: str, public_key: str, proof: str, label: str, machine: Mapping[str, Any], client_address: str | None = None
) -> Connector:
    """The Connector that a machine becomes by a code. The same machine may repeat it: an answer may have been lost.

    Raises NotFound for a wrong code or proof, Expired for one that is used up or too old, AlreadyClaimed for a key that
    has a connector."""
    key = proofs.public_key_bytes(public_key)
    proofs.proof_check(public_key=key, proof=proof, message=enrollment.enroll_message(code=code, public_key=public_key))
    digest = _code_digest(code)
    with scope.operator():
        organization_id = EnrollmentCode.objects.filter(digest=digest).values_list("organization_id", flat=True).first()
    if organization_id is None:
        raise errors.NotFound("No such enrollment code.")
    with scope.organization(organization_id), recorded("connector_enroll"):
        # Locked: of two machines with one code, the second finds it used.
        row = EnrollmentCode.objects.select_for_update().get(digest=digest)
        if row.used_at is not None:
            return _enrolled_before(row, key)
        now = datetime.now(UTC)
        if row.revoked_at is not None or row.expires_at <= now:
            raise errors.Expired("This enrollment code has expired; ask for a new one.")
        connector = _connector_create(organization_id, key, label=label, machine=machine)
        _claim_create(connector, workspace_id=row.workspace_id, project_id=row.project_id, by=row.created_by)
        row.used_at, row.connector_id = now, connector.id
        row.save(update_fields=["used_at", "connector"])
        audit.event_record(
            event_type=EventType.CONNECTOR_ENROLLED,
            principal=ConnectorActor.of(connector),
            target_kind="connector",
            target_id=connector.id,
            project_id=row.project_id,
            client_address=client_address,
            details={"enrollment_code": str(row.id), "label": connector.label},
        )
    return connector


def connector_register_pending(
    *, public_key: str, proof: str, issued_at: int, label: str, machine: Mapping[str, Any]
) -> tuple[PendingConnector, str]:
    """Note a machine that wants to be claimed, and the code it shows; asking again makes a new code.

    Raises NotFound for a wrong proof, AlreadyClaimed for a machine that has been, RateLimited when too many wait."""
    key = _proven_key(public_key, proof, issued_at)
    code = credentials.claim_code_new()
    now = datetime.now(UTC)
    facts = {
        "claim_digest": _code_digest(code),
        "label": label,
        "machine": dict(machine),
        "expires_at": now + PENDING_TTL,
        # A machine that was released and asks again.
        "connector_id": None,
    }
    with scope.operator(), recorded("connector_register"):
        if Connector.objects.filter(public_key=key, released_at=None).exists():
            raise errors.AlreadyClaimed
        PendingConnector.objects.filter(expires_at__lt=now, connector_id=None).delete()
        if PendingConnector.objects.filter(connector_id=None).count() >= PENDING_MAX:
            raise errors.RateLimited("Too many machines wait to be claimed.", retry_after_s=60)
        pending, _ = PendingConnector.objects.update_or_create(public_key=key, defaults=facts)
    return pending, code


def registration_find(*, public_key: str, proof: str, issued_at: int) -> Connector | None:
    """The connector that a registered machine became; None while nobody has claimed it.

    Raises NotFound for a wrong proof or a machine that never registered, Expired when its code is too old."""
    key = _proven_key(public_key, proof, issued_at)
    with scope.operator():
        connector = Connector.objects.filter(public_key=key, released_at=None).first()
        if connector is not None:
            return connector
        pending = PendingConnector.objects.filter(public_key=key).first()
    if pending is None:
        raise errors.NotFound
    if pending.expires_at <= datetime.now(UTC):
        raise errors.Expired("Nobody claimed this machine in time; register again.")
    return None


def connector_release_itself(*, public_key: str, proof: str, issued_at: int, client_address: str | None = None) -> None:
    """Let a machine leave its organization by proof of its key, so that it may be claimed by another one.

    `proof` signs `enrollment.register_message`. Call it with no scope open. Raises NotFound for a wrong proof or a
    machine that nobody has claimed, Expired."""
    key = _proven_key(public_key, proof, issued_at)
    with scope.operator():
        found = Connector.objects.filter(public_key=key, released_at=None).first()
    if found is None:
        raise errors.NotFound
    with scope.organization(found.organization_id):
        claims.connector_let_go(connector=found, actor=ConnectorActor.of(found), client_address=client_address)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingMachine:
    """What a machine that waits to be claimed says of itself."""

    label: str
    machine: Mapping[str, Any]


@grants.needs(Scope.CONNECTORS_WRITE)
def pending_find(*, grant: Grant, claim_code: str) -> WaitingMachine:
    """The machine that shows this code, to look at before claiming it. Raises NotFound, Expired, RateLimited after too
    many wrong ones."""
    claims.claimable_check(grant=grant)
    with guesses.guessed(grant.principal):
        label, machine, has_expired = _pending_look(_code_digest(claim_code))
    if has_expired:
        raise errors.Expired(_CODE_EXPIRED)
    return WaitingMachine(label=label, machine=json.loads(machine))


@grants.needs(Scope.CONNECTORS_WRITE)
def connector_claim(*, grant: Grant, claim_code: str) -> Connector:
    """The Connector that a waiting machine becomes, for what the grant names (a project, a workspace, else the
    organization), by the code that it shows.

    Raises NotFound for a wrong code, RateLimited after too many, Expired for an old one, AlreadyClaimed for a machine
    this organization has."""
    digest = _code_digest(claim_code)
    claims.claimable_check(grant=grant)
    connector_id = ids.new_uuid7()
    with guesses.guessed(grant.principal), recorded("connector_claim"):
        key, label, machine, has_expired = _pending_take(digest, connector_id)
        if has_expired:
            raise errors.Expired(_CODE_EXPIRED)
        connector = _connector_create(
            grant.organization_id, key, label=label, machine=machine, connector_id=connector_id
        )
        _claim_create(connector, workspace_id=grant.workspace_id, project_id=grant.project_id, by=grant.principal.label)
        audit.event_record(
            event_type=EventType.CONNECTOR_CLAIMED,
            principal=grant.principal,
            target_kind="connector",
            target_id=connector.id,
            project_id=grant.project_id,
            details={"label": connector.label},
        )
    return connector


def _code_digest(text: str) -> bytes:
    return credentials.digest(credentials.code_normalized(text))


def _pending_look(digest: bytes) -> tuple[str, str, bool]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT label, machine::text, has_expired FROM pending_connector_look(%s)", [digest])
        row: tuple[str, str, bool] | None = cursor.fetchone()
    if row is None:
        raise errors.NotFound("No machine shows this claim code.")
    return row


def _pending_take(digest: bytes, connector_id: UUID) -> tuple[bytes, str, dict[str, Any], bool]:
    """Mark the waiting machine as taken, through the one function that reaches it from within a tenant's scope."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT public_key, label, machine::text, has_expired FROM pending_connector_take(%s, %s)",
            [digest, connector_id],
        )
        row = cursor.fetchone()
    if row is None:
        raise errors.NotFound("No machine shows this claim code.")
    key, label, machine, has_expired = row
    return bytes(key), label, json.loads(machine), has_expired


def _proven_key(public_key: str, proof: str, issued_at: int) -> bytes:
    key = proofs.public_key_bytes(public_key)
    message = enrollment.register_message(public_key=public_key, issued_at=issued_at)
    proofs.proof_check(public_key=key, proof=proof, message=message)
    if abs(datetime.now(UTC).timestamp() - issued_at) > enrollment.PROOF_AGE_S_MAX:
        raise errors.Expired("The proof is too old; check the machine's clock.")
    return key


def _enrolled_before(row: EnrollmentCode, key: bytes) -> Connector:
    connector = Connector.objects.filter(public_key=key, released_at=None).first()
    if connector is None or connector.id != row.connector_id:
        raise errors.Expired("This enrollment code was used; ask for a new one.")
    return connector


def _connector_create(
    organization_id: UUID, key: bytes, *, label: str, machine: Mapping[str, Any], connector_id: UUID | None = None
) -> Connector:
    if Connector.objects.filter(public_key=key, released_at=None).exists():
        raise errors.AlreadyClaimed
    try:
        with transaction.atomic():
            return Connector.objects.create(
                id=connector_id or ids.new_uuid7(),
                organization_id=organization_id,
                label=label,
                public_key=key,
                machine=dict(machine),
            )
    except IntegrityError as error:
        # Another tenant's row is invisible here but still unique. The caller holds this key, so it may be told.
        raise errors.InvalidRequest("This key already serves elsewhere; make a new key pair.") from error


def _claim_create(connector: Connector, *, workspace_id: UUID | None, project_id: UUID | None, by: str) -> None:
    Claim.objects.create(
        organization_id=connector.organization_id,
        connector=connector,
        workspace_id=workspace_id,
        project_id=project_id,
        claimed_by=by,
    )


def claim_of(connector: Connector) -> Claim:
    """What a connector was claimed for, with its organization and project, in the open scope."""
    return Claim.objects.select_related("organization", "project").get(connector=connector)
