"""Every service and list that takes a grant, tried by each role, here, beside, and from another tenant.

What is expected stands in tests/contract/permissions.csv, which people review and no production code reads. Which
services there are is found by looking at the code: one without a line, or a line without one, fails."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

import cloud.access
import cloud.accounts
import cloud.connectors
import cloud.tenancy
from cloud.access import authorization, selectors
from cloud.access.models import Token, TokenKind
from cloud.access.principals import Principal
from cloud.connectors import enrollment, links
from cloud.connectors import services as connectors
from cloud.connectors.models import Connector, EnrollmentCode, Instance, Location
from cloud.permissions.roles import Role
from cloud.tenancy import invitations, scope
from cloud.tenancy import services as tenancy
from cloud.tenancy.models import Invitation, Membership, Project, Workspace
from cloud.tenancy.posts import Post
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope
from tests.contract import permissions
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

PREFIX = "service "
Service = Callable[..., Any]


def services_find() -> dict[str, Service]:
    """Every function of these rooms that says which scope its grant must be for."""
    found = {}
    for room in (cloud.tenancy, cloud.access, cloud.connectors, cloud.accounts):
        for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
            for name, service in vars(importlib.import_module(module.name)).items():
                if inspect.isfunction(service) and service.__module__ == module.name and _takes_grant(service):
                    found[f"{module.name.removeprefix('cloud.')}.{name}"] = service
    return found


def _takes_grant(service: Service) -> bool:
    grant = inspect.signature(service).parameters.get("grant")
    is_ours = grant is not None and grant.kind is inspect.Parameter.KEYWORD_ONLY
    return is_ours and not service.__name__.startswith("_") and service.__name__ not in CHECKS


# Asked by services, with their grant; they do nothing themselves.
CHECKS = {"post_check", "holder_check", "claimable_check"}
SERVICES = services_find()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Something of each kind in one workspace."""

    workspace: Workspace
    project: Project
    member: Membership
    invitation: Invitation
    token: Token
    connector: Connector
    instance: Instance
    location: Location
    code: EnrollmentCode
    claim_code: str


Recipe = Callable[[Place], dict[str, Any]]
VIEWER = Role.PROJECT_VIEWER


def _viewer(place: Place) -> Post:
    return Post(role=VIEWER, project_ids=[place.project.id])


def _nothing(_place: Place) -> dict[str, Any]:
    return {}


def _unit(kind: str, *, is_update: bool = False) -> Recipe:
    more = {"name": "other"} if is_update else {}
    return lambda place: {f"{kind}_id": getattr(place, kind).id, "expected_version": None, **more}


RECIPES: dict[str, Recipe] = {
    "organization_get": _nothing,
    "organization_update": lambda _: {"name": "other", "expected_version": None},
    **{f"organization_{word}": lambda _: {"expected_version": None} for word in ("suspend", "resume", "delete")},
    "workspace_create": lambda _: {"name": "new"},
    "workspace_page": _nothing,
    "workspace_get": lambda place: {"workspace_id": place.workspace.id},
    "workspace_update": _unit("workspace", is_update=True),
    **{f"workspace_{word}": _unit("workspace") for word in ("suspend", "resume", "delete")},
    "project_create": lambda place: {"workspace_id": place.workspace.id, "name": "new"},
    "project_page": _nothing,
    "project_list": _nothing,
    "project_get": lambda place: {"project_id": place.project.id},
    "project_update": _unit("project", is_update=True),
    **{f"project_{word}": _unit("project") for word in ("suspend", "resume", "delete")},
    "membership_create": lambda place: {"user_id": place.member.user_id, "post": _viewer(place)},
    "membership_page": _nothing,
    "membership_get": lambda place: {"membership_id": place.member.id},
    "membership_change": lambda p: {"membership_id": p.member.id, "post": _viewer(p), "expected_version": None},
    "membership_remove": lambda place: {"membership_id": place.member.id, "expected_version": None},
    "password_link_create": lambda place: {"membership_id": place.member.id},
    "invitation_create": lambda place: {"email": "x@example.com", "post": _viewer(place)},
    "invitation_page": _nothing,
    "invitation_get": lambda place: {"invitation_id": place.invitation.id},
    "invitation_resend": lambda place: {"invitation_id": place.invitation.id},
    "invitation_revoke": lambda place: {"invitation_id": place.invitation.id},
    "token_mint": lambda _: {"name": "new", "scopes": [Scope.RUNS_READ]},
    "token_list": _nothing,
    "token_page": _nothing,
    **{
        name: lambda p: {"token_id": p.token.id}
        for name in ("token_get", "token_rotate", "token_adopt", "token_revoke")
    },
    "enrollment_code_create": lambda _: {"ttl": timedelta(hours=1)},
    "enrollment_code_page": _nothing,
    "enrollment_code_get": lambda place: {"code_id": place.code.id},
    "enrollment_code_revoke": lambda place: {"code_id": place.code.id},
    "pending_find": lambda place: {"claim_code": place.claim_code},
    "connector_claim": lambda place: {"claim_code": place.claim_code},
    "connector_list": _nothing,
    "connector_page": _nothing,
    "connector_get": lambda place: {"connector_id": place.connector.id},
    "connector_rename": lambda p: {"connector_id": p.connector.id, "label": "other", "expected_version": None},
    "connector_transfer": lambda place: {"connector_id": place.connector.id},
    **{
        f"connector_{word}": lambda place: {"connector_id": place.connector.id}
        for word in ("disable", "enable", "release")
    },
    "instance_page": _nothing,
    "instance_get": lambda place: {"instance_id": place.instance.id},
    "instance_map": lambda place: {"instance_id": place.instance.id, "project_id": place.project.id},
    "location_page": _nothing,
    "location_get": lambda place: {"location_id": place.location.id},
    "location_map": lambda place: {"location_id": place.location.id, "project_id": place.project.id},
    "presence_page": lambda place: {"connector_id": place.connector.id},
}
# Their grant names the project that they are for.
FOR_A_PROJECT = {"enrollment_code_create", "pending_find", "connector_claim"}
HAS_TARGET = {name for name, recipe in RECIPES.items() if recipe is not _nothing} - {
    "organization_update", "organization_suspend", "organization_resume", "organization_delete", "workspace_create",
    "token_mint",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Who asks, and what for."""

    here: Place
    beside: Place
    principals: dict[str, Principal]


@pytest.fixture
def world(acme: Tenant, globex: Tenant, make_member: Callable[..., Membership], make_token: Any) -> World:
    members = {
        Role.ORG_OWNER: make_member(acme, Role.ORG_OWNER),
        Role.ORG_ADMIN: make_member(acme, Role.ORG_ADMIN),
        Role.WORKSPACE_ADMIN: make_member(acme, Role.WORKSPACE_ADMIN, workspace=acme.workspace),
        Role.PROJECT_OPERATOR: make_member(acme, Role.PROJECT_OPERATOR, project=acme.project),
        Role.PROJECT_VIEWER: make_member(acme, Role.PROJECT_VIEWER, project=acme.project),
    }
    with scope.organization(acme.id):
        elsewhere, _ = tenancy.workspace_ensure(organization_id=acme.id, name="elsewhere", actor=None)
        foreign, _ = tenancy.project_ensure(workspace=elsewhere, name="foreign", actor=None)
    here = _place(acme, acme.workspace, acme.project, make_member, make_token)
    beside = _place(acme, elsewhere, foreign, make_member, make_token)
    principals = {}
    with scope.organization(acme.id):
        for role, member in members.items():
            principals[role.value] = selectors.user_principal(member.user, organization_id=acme.id)
    other = make_member(globex, Role.ORG_OWNER)
    with scope.organization(globex.id):
        principals[permissions.OTHER_OWNER] = selectors.user_principal(other.user, organization_id=globex.id)
    return World(here=here, beside=beside, principals=principals)


def _place(tenant: Tenant, workspace: Workspace, project: Project, make_member: Any, make_token: Any) -> Place:
    owner = tenant.principal()
    member = make_member(tenant, VIEWER, project=project)
    holder = make_member(tenant, Role.PROJECT_OPERATOR, project=project)
    token, _ = make_token(holder, Scope.RUNS_READ, kind=TokenKind.SERVICE)
    machine, waiting = Machine(), Machine()
    _, claim_code = enrollment.connector_register_pending(**waiting.register_request())
    with scope.organization(tenant.id):
        inviting = authorization.authorize(owner, Scope.MEMBERS_WRITE)
        invitation, _ = invitations.invitation_create(
            grant=inviting, email=f"{project.slug}@example.com", post=Post(role=VIEWER, project_ids=[project.id])
        )
        enrolling = authorization.authorize(owner, Scope.CONNECTORS_WRITE, project_id=project.id)
        _, text = enrollment.enrollment_code_create(grant=enrolling, ttl=timedelta(hours=1))
        code, _ = enrollment.enrollment_code_create(grant=enrolling, ttl=timedelta(hours=1))
    connector = enrollment.connector_enroll(**machine.enroll_request(text))
    links.link_open(connector_id=connector.id, link_owner="process-1")
    (location,) = connectors.advertise_apply(connector_id=connector.id, epoch=1, advertised=machine.advertisement("x"))
    return Place(
        workspace=workspace,
        project=project,
        member=member,
        invitation=invitation,
        token=token,
        connector=connector,
        instance=location.instance,
        location=location,
        code=code,
        claim_code=claim_code,
    )


def outcome_of(service: Service, principal: Principal, place: Place) -> str:
    """What the principal is answered; nothing of it stays."""
    name = service.__name__
    with scope.organization(principal.organization_id), transaction.atomic():
        try:
            names = {"project_id": place.project.id} if name in FOR_A_PROJECT else {}
            grant = authorization.authorize_for(principal, service, **names)
            arguments = RECIPES[name](place)
            if name == "connector_transfer":
                arguments["target"] = authorization.authorize(
                    principal, Scope.CONNECTORS_WRITE, project_id=place.project.id
                )
            service(grant=grant, **arguments)
        except (errors.Forbidden, errors.NotFound) as refusal:
            return refusal.code
        finally:
            transaction.set_rollback(True)
    return "allow"


def lines_found(world: World) -> Iterator[tuple[str, ...]]:
    for key, service in sorted(SERVICES.items()):
        has_target = service.__name__ in HAS_TARGET
        for target in ("here", "beside") if has_target else ("-",):
            place = world.beside if target == "beside" else world.here
            roles = [outcome_of(service, world.principals[role.value], place) for role in Role]
            other = outcome_of(service, world.principals[permissions.OTHER_OWNER], place) if has_target else "own"
            yield (f"{PREFIX}{key}", target, *roles, other)


def test_every_service_says_its_scope_and_is_tried() -> None:
    assert {key for key, service in SERVICES.items() if not hasattr(service, "scope")} == set()
    assert {service.__name__ for service in SERVICES.values()} == set(RECIPES)


def test_each_role_may_do_what_was_reviewed_and_no_more(world: World) -> None:
    permissions.hold(PREFIX, lines_found(world))
