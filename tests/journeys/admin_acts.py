"""What only the admin, or a process without a socket, does: called in a process of its own, so that it may be killed.

python -m tests.journeys.admin_acts ACT PROJECT_ID
"""

import base64
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import django
import psycopg

django.setup()

from cryptography.hazmat.primitives import serialization  # noqa: E402 - Django has to be set up first
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402
from django.conf import settings  # noqa: E402

from cloud.access import authentication, authorization, services  # noqa: E402
from cloud.access.principals import Grant, Principal, system_principal  # noqa: E402
from cloud.audit import aggregation, export, pruning, seal  # noqa: E402
from cloud.audit.event_types import EventType  # noqa: E402
from cloud.audit.models import AuditEvent, Outcome  # noqa: E402
from cloud.config import database_url  # noqa: E402
from cloud.connectors import claims  # noqa: E402
from cloud.connectors import enrollment as enrollments  # noqa: E402
from cloud.connectors import services as connectors  # noqa: E402
from cloud.dispatch import progress  # noqa: E402
from cloud.dispatch.services import dispatch_operation_sync  # noqa: E402
from cloud.limits import admission, usage  # noqa: E402
from cloud.limits import services as limits  # noqa: E402
from cloud.limits.allowances import Allowance  # noqa: E402
from cloud.schedules import firing, run_schedules  # noqa: E402
from cloud.schedules.models import WhenAway  # noqa: E402
from cloud.tenancy import scope, selectors, workspaces  # noqa: E402
from cloud.tenancy import services as tenancy  # noqa: E402
from cloud.tenancy.models import Organization  # noqa: E402
from local_daemon.protocol import enrollment, errors  # noqa: E402
from local_daemon.protocol.scopes import Scope  # noqa: E402
from tests.journeys import refusal_acts, worker_acts  # noqa: E402


def grant_of(principal: Principal, project_id: UUID, wanted: Scope) -> Grant:
    return authorization.authorize(principal, wanted, project_id=project_id)


def register() -> str:
    """A machine that waits to be claimed; answers its code."""
    key = Ed25519PrivateKey.generate()
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    public_key, issued_at = base64.b64encode(raw).decode(), int(time.time())
    proof = key.sign(enrollment.register_message(public_key=public_key, issued_at=issued_at))
    _, code = enrollments.connector_register_pending(
        public_key=public_key,
        proof=base64.b64encode(proof).decode(),
        issued_at=issued_at,
        label="waiting",
        machine={},
    )
    return code


def connector_register(principal: Principal, project_id: UUID) -> None:
    register()


def connector_claim(principal: Principal, project_id: UUID) -> None:
    code = register()
    with scope.organization(principal.organization_id):
        grant = grant_of(principal, project_id, Scope.CONNECTORS_WRITE)
        enrollments.connector_claim(grant=grant, claim_code=code)


def connector_status_set(principal: Principal, project_id: UUID) -> None:
    code = register()
    with scope.organization(principal.organization_id):
        grant = grant_of(principal, project_id, Scope.CONNECTORS_WRITE)
        spare = enrollments.connector_claim(grant=grant, claim_code=code)
        connectors.connector_disable(grant=grant, connector_id=spare.id)


def token_revoke(principal: Principal, project_id: UUID) -> None:
    with scope.organization(principal.organization_id):
        grant = grant_of(principal, project_id, Scope.TOKENS_WRITE)
        token, _ = services.token_mint(grant=grant, name="spare", scopes=[Scope.RUNS_READ])
        services.token_revoke(grant=grant, token_id=token.id)


def token_change(principal: Principal, project_id: UUID) -> None:
    with scope.organization(principal.organization_id):
        grant = grant_of(principal, project_id, Scope.TOKENS_WRITE)
        token, _ = services.token_mint(grant=grant, name="spare", scopes=[Scope.RUNS_READ])
        services.token_rotate(grant=grant, token_id=token.id)


def tenancy_change(principal: Principal, project_id: UUID) -> None:
    """A workspace that comes, or is there since before, and goes."""
    with scope.organization(principal.organization_id):
        grant = authorization.authorize(principal, Scope.WORKSPACES_WRITE)
        spare, _ = tenancy.workspace_ensure(organization_id=principal.organization_id, name="spare", actor=principal)
        workspaces.workspace_delete(grant=grant, workspace_id=spare.id, expected_version=None)
        workspaces.workspace_resume(grant=grant, workspace_id=spare.id, expected_version=None)


def connector_change(principal: Principal, project_id: UUID) -> None:
    code = register()
    with scope.organization(principal.organization_id):
        grant = grant_of(principal, project_id, Scope.CONNECTORS_WRITE)
        spare = enrollments.connector_claim(grant=grant, claim_code=code)
        claims.connector_release(grant=grant, connector_id=spare.id)


def call_deadline(principal: Principal, project_id: UUID) -> None:
    """A call from a process without a socket, whose answer takes longer than it has."""
    made = dispatch_operation_sync(
        principal=principal, operation_name="runs.create", project_id=str(project_id), parameters={}, query={},
        body={"objective": "wait in vain"},
    )  # fmt: skip
    assert made.body is not None
    task = {"goal": "g", "executor": "fake-timeout", "timeout_s": 4}
    submitted = dispatch_operation_sync(
        principal=principal, operation_name="steps.submit", project_id=str(project_id),
        parameters={"run_id": made.body["run"]["run_id"]}, query={}, body={"task": task},
    )  # fmt: skip
    assert submitted.body is not None
    parameters = {"step_id": submitted.body["step"]["step_id"]}
    # The serving process would end it at the same moment, and whichever comes first leaves the other nothing to do.
    with psycopg.connect(database_url.url_from_database(settings.DATABASES["default"]), autocommit=True) as alone:
        alone.execute("SELECT pg_advisory_lock(%s)", [progress.SWEEP_LOCK])
        try:
            dispatch_operation_sync(
                principal=principal, operation_name="steps.wait", project_id=str(project_id), parameters=parameters,
                query={"timeout_s": 3}, body=None, deadline_s=1,
            )  # fmt: skip
        except errors.DeadlineExceeded:
            return
    raise AssertionError("the call was answered within its deadline")


def limits_change(principal: Principal, project_id: UUID) -> None:
    with scope.organization(principal.organization_id):
        grant = grant_of(principal, project_id, Scope.TOKENS_WRITE)
        token, _ = services.token_mint(grant=grant, name="spare", scopes=[Scope.RUNS_READ])
        limits.token_limits_set(grant=grant, token_id=token.id, allowance=Allowance(calls_per_minute=1, calls_burst=1))


def limit_tell(principal: Principal, project_id: UUID) -> None:
    """A token that calls more often than it may."""
    with scope.organization(principal.organization_id):
        grant = grant_of(principal, project_id, Scope.TOKENS_WRITE)
        token, raw = services.token_mint(grant=grant, name="spare", scopes=[Scope.RUNS_READ])
        limits.token_limits_set(grant=grant, token_id=token.id, allowance=Allowance(calls_per_minute=1, calls_burst=1))
    eager = authentication.authenticate_bearer(raw)
    with scope.organization(principal.organization_id):
        try:
            for _ in range(3):
                admission.call_count(eager, "runs.list", client_address=None)
        except errors.RateLimited:
            return
    raise AssertionError("the limit was not kept")


def usage_fold(principal: Principal, project_id: UUID) -> None:
    with scope.organization(principal.organization_id):
        usage.cost_fold(principal.organization_id)


def audit_prune(principal: Principal, project_id: UUID) -> None:
    """An organization whose first events are from long ago."""
    with scope.operator():
        old = Organization.objects.create(name="old", slug=f"old-{uuid4().hex}")
    long_ago = datetime.now(UTC) - pruning.AGE_MIN - timedelta(days=1)
    with scope.organization(old.id):
        for _ in range(3):
            AuditEvent.objects.create(
                organization_id=old.id, at=long_ago, event_type=EventType.CALL_ANSWERED, actor_kind="system",
                target_kind="location", target_id="somewhere", outcome=Outcome.OK, details={},
            )  # fmt: skip
        seal.organization_seal_all(old.id)
        while aggregation.rollups_aggregate(old.id):
            pass
        assert pruning.events_prune(old.id, before=long_ago + timedelta(hours=1)) == 2


def audit_export(principal: Principal, project_id: UUID) -> None:
    with scope.organization(principal.organization_id):
        export.export_begin(
            organization_id=principal.organization_id, asked=export.Range(first_seq=1, limit=1), actor=principal
        )


def due_schedule(principal: Principal, project_id: UUID) -> datetime:
    """A run that is to begin; answers a moment when it is due."""
    starts_at = datetime.now(UTC) + timedelta(minutes=1)
    with scope.organization(principal.organization_id):
        run_schedules.run_schedule_create(
            grant=grant_of(principal, project_id, Scope.RUNS_WRITE), name="nightly", objective="Do as every night.",
            tasks=[{"goal": "g", "executor": "fake-success"}], starts_at=starts_at, when_away=WhenAway.QUEUE,
        )  # fmt: skip
    return starts_at + timedelta(seconds=1)


def run_schedule_change(principal: Principal, project_id: UUID) -> None:
    due_schedule(principal, project_id)


def run_schedule_due(principal: Principal, project_id: UUID) -> None:
    assert firing.runs_fire(now=due_schedule(principal, project_id)) >= 1


def run_firing_end(principal: Principal, project_id: UUID) -> None:
    run_schedule_due(principal, project_id)


def run_firing_wait(principal: Principal, project_id: UUID) -> None:
    """Its machine is away for once."""

    def away(**_call: object) -> None:
        raise errors.ConnectorOffline

    now = due_schedule(principal, project_id)
    assert firing.runs_fire(now=now, dispatch=away) == 0
    assert firing.runs_fire(now=now) >= 1


ACTS: dict[str, Callable[[Principal, UUID], None]] = {
    act.__name__: act
    for act in (
        connector_register,
        connector_claim,
        connector_status_set,
        connector_change,
        token_revoke,
        token_change,
        tenancy_change,
        call_deadline,
        limits_change,
        limit_tell,
        usage_fold,
        audit_export,
        audit_prune,
        run_schedule_change,
        run_schedule_due,
        run_firing_end,
        run_firing_wait,
    )
}

if __name__ == "__main__":
    project = UUID(sys.argv[2])
    organization_id = selectors.organization_of_project(project)
    assert organization_id is not None
    act = (ACTS | worker_acts.ACTS | refusal_acts.ACTS)[sys.argv[1]]
    act(system_principal(organization_id, label="journey"), project)
