"""Something of each kind in one project, named as the paths of the HTTP API name it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cloud.access import authorization
from cloud.access.models import TokenKind
from cloud.access.principals import system_principal
from cloud.connectors import enrollment, links
from cloud.connectors import services as connectors
from cloud.connectors.models import Connector, Location
from cloud.dispatch.models import OperationCall
from cloud.permissions.roles import Role
from cloud.runs.models import GateSnapshot, RunEvent, RunSnapshot, StepSnapshot
from cloud.schedules import run_schedules
from cloud.schedules.models import RunSchedule
from cloud.tenancy import invitations, scope
from cloud.tenancy.models import Project
from cloud.tenancy.posts import Post
from local_daemon.protocol import ids
from local_daemon.protocol.scopes import Scope
from local_daemon.protocol.states import CallState, GateKind, GateState, RunState, StepState
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

DIGEST = "d" * 64
TASK = {"goal": "Try it.", "executor": "fake-success"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What there is in one project; `ids` by the parameter that names it."""

    tenant: Tenant
    project: Project
    ids: dict[str, str]
    claim_code: str


def place_make(tenant: Tenant, project: Project, *, make_member: Callable[..., Any], make_token: Any) -> Place:
    """Fill a project. Its machine was there, and is away."""
    member = make_member(tenant, Role.PROJECT_VIEWER, project=project)
    operator = make_member(tenant, Role.PROJECT_OPERATOR, project=project)
    token, _ = make_token(operator, Scope.RUNS_READ, kind=TokenKind.SERVICE)
    _, claim_code = enrollment.connector_register_pending(**Machine().register_request())
    with scope.organization(tenant.id):
        owner = tenant.principal()
        invitation, _ = invitations.invitation_create(
            grant=authorization.authorize(owner, Scope.MEMBERS_WRITE),
            email=f"{project.slug}@example.com",
            post=Post(role=Role.PROJECT_VIEWER, project_ids=[project.id]),
        )
        enrolling = authorization.authorize(owner, Scope.CONNECTORS_WRITE, project_id=project.id)
        _, text = enrollment.enrollment_code_create(grant=enrolling, ttl=timedelta(hours=1))
        code, _ = enrollment.enrollment_code_create(grant=enrolling, ttl=timedelta(hours=1))
    location = machine_share(text)
    found = {
        "organization_id": tenant.id,
        "workspace_id": project.workspace_id,
        "project_id": project.id,
        "membership_id": member.id,
        "invitation_id": invitation.id,
        "token_id": token.id,
        "enrollment_code_id": code.id,
        "connector_id": location.instance.connector_id,
        "instance_id": location.instance_id,
        "location_id": location.id,
        "run_schedule_id": schedule_make(tenant, project).id,
        **work_make(tenant, location),
    }
    return Place(
        tenant=tenant,
        project=project,
        ids={name: str(value) for name, value in found.items()},
        claim_code=claim_code,
    )


def machine_share(code: str) -> Location:
    """The repository that a new machine shares; it came, offered it, and went."""
    machine = Machine()
    connector = enrollment.connector_enroll(**machine.enroll_request(code))
    links.link_open(connector_id=connector.id, link_owner="process-1")
    (location,) = connectors.advertise_apply(connector_id=connector.id, epoch=1, advertised=machine.advertisement("x"))
    with scope.organization(connector.organization_id):
        Connector.objects.filter(id=connector.id).update(link_owner="", link_channel="")
        return Location.objects.select_related("instance__connector", "project").get(id=location.id)


def work_make(tenant: Tenant, location: Location, *, title: str = "a run") -> dict[str, str]:
    """A run with a step, an open gate, an event and the call that began it, as last heard of."""
    run_id, step_id, gate_id = (
        ids.new_id(prefix) for prefix in (ids.IdPrefix.RUN, ids.IdPrefix.STEP, ids.IdPrefix.GATE)
    )
    now = datetime.now(UTC)
    with scope.organization(tenant.id):
        where: dict[str, Any] = {
            "organization_id": tenant.id, "project_id": location.project_id, "location": location, "run_id": run_id,
        }  # fmt: skip
        heard: dict[str, Any] = {**where, "as_of": now, "seq": 1, "view": {}}
        RunSnapshot.objects.create(**heard, state=RunState.RUNNING, title=title)
        StepSnapshot.objects.create(**heard, step_id=step_id, state=StepState.WAITING, title="a step", executor="patch")
        GateSnapshot.objects.create(
            **heard, step_id=step_id, gate_id=gate_id, kind=GateKind.AFTER, state=GateState.OPEN, digest=DIGEST,
            expires_at=now + timedelta(hours=1),
        )  # fmt: skip
        RunEvent.objects.create(
            **where, log_id=ids.new_id(ids.IdPrefix.LOG), seq=1, event_type="run.changed", at=now, record={}
        )
        call = OperationCall.objects.create(
            id=ids.new_id(ids.IdPrefix.CALL), organization_id=tenant.id, project_id=location.project_id,
            location=location, connector_id=location.instance.connector_id, operation="runs.create",
            principal_kind="token", principal_id=str(tenant.id), principal_label="planner", request_sha256="0" * 64,
            request="{}", state=CallState.ANSWERED, accepted_at=now, sent_at=now, ended_at=now, deadline_at=now,
            answer_status=200, answer="{}",
        )  # fmt: skip
    return {"run_id": run_id, "step_id": step_id, "gate_id": gate_id, "call_id": call.id}


def schedule_make(tenant: Tenant, project: Project) -> RunSchedule:
    """A run that begins every night, in the installation's name."""
    with scope.organization(tenant.id):
        grant = authorization.authorize(
            system_principal(tenant.id, label="test"), Scope.RUNS_WRITE, project_id=project.id
        )
        return run_schedules.run_schedule_create(
            grant=grant, name="Nightly", objective="Keep it working.", tasks=[TASK], cron="0 3 * * *"
        )
