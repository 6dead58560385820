"""Every route × method, found in the URLs themselves, tried by each role here, beside, and from another tenant.

What is expected stands in tests/contract/permissions.csv, which people review and no production code reads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver

from cloud.access.models import Token
from cloud.connectors.models import Location
from cloud.permissions.roles import Role
from cloud.rest import routes
from cloud.rest.endpoints import Endpoint
from cloud.rest.paths import parameters_of
from cloud.rest.resources import Resource
from cloud.tenancy import scope
from cloud.tenancy import services as tenancy
from cloud.tenancy.models import Membership
from tests.contract import permissions
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.rest.client import Api, told
from tests.integration.cloud.rest.places import DIGEST, TASK, Place, place_make
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

PREFIX = "route "
Body = Callable[[Place], dict[str, Any]]


def _of(**facts: Any) -> Body:
    return lambda _place: facts


def _with(*names: str, **facts: Any) -> Body:
    return lambda place: {**{name: place.ids[name] for name in names}, **facts}


def _claim(place: Place) -> dict[str, Any]:
    return {"project_id": place.ids["project_id"], "claim_code": place.claim_code}


def _viewer(**facts: Any) -> Body:
    return lambda place: {"role": Role.PROJECT_VIEWER, "project_ids": [place.ids["project_id"]], **facts}


BODIES: dict[str, Body] = {
    "organizations.update": _of(name="other"),
    "workspaces.create": _of(name="new"),
    "workspaces.update": _of(name="other"),
    "projects.create": _with("workspace_id", name="new"),
    "projects.update": _of(name="other"),
    "memberships.change": _viewer(),
    "invitations.create": _viewer(email="x@example.com"),
    "invitations.resend": _of(),
    "tokens.mint": _of(name="new", scopes=["runs:read"]),
    "tokens.rotate": _of(),
    "enrollment_codes.create": _with("project_id"),
    "connectors.look": _claim,
    "connectors.claim": _claim,
    "connectors.update": _of(label="other"),
    "connectors.transfer": _with("project_id"),
    "instances.map": _with("project_id"),
    "locations.map": _with("project_id"),
    "runs.create": _with("project_id", objective="Try it."),
    "runs.cancel": _of(),
    "gates.decide": _of(decision="approve", digest=DIGEST),
    "limits.set": _of(calls_per_minute=10),
    "run_schedules.create": _with("project_id", name="new", objective="Try it.", tasks=[TASK], cron="0 4 * * *"),
    "run_schedules.update": _of(name="other"),
}
# What they are for stands in the body.
TARGET_IN_BODY = {
    "projects.create", "invitations.create", "enrollment_codes.create", "connectors.look", "connectors.claim",
    "runs.create", "run_schedules.create",
}  # fmt: skip


def endpoints_find() -> Iterator[Endpoint]:
    """Every method of every route that the installation's URLs hold below the API's prefix."""

    def walk(patterns: list[Any], above: str) -> Iterator[Endpoint]:
        for pattern in patterns:
            path = above + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, path)
            elif isinstance(pattern, URLPattern) and path.startswith("api/cloud/v1/"):
                view = getattr(pattern.callback, "cls", None)
                if view is None:
                    assert path == "api/cloud/v1/openapi.json", f"{path} is no resource"
                    continue
                assert issubclass(view, Resource)
                yield from view.endpoints.values()

    yield from walk(get_resolver().url_patterns, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Who asks, and for what."""

    here: Place
    beside: Place
    asking: dict[str, Api]


@pytest.fixture
def world(acme: Tenant, globex: Tenant, make_member: MakeMember, make_token: MakeToken) -> World:
    with scope.organization(acme.id):
        elsewhere, _ = tenancy.workspace_ensure(organization_id=acme.id, name="elsewhere", actor=None)
        foreign, _ = tenancy.project_ensure(workspace=elsewhere, name="foreign", actor=None)
    members: dict[str, Membership] = {
        Role.ORG_OWNER: make_member(acme, Role.ORG_OWNER),
        Role.ORG_ADMIN: make_member(acme, Role.ORG_ADMIN),
        Role.WORKSPACE_ADMIN: make_member(acme, Role.WORKSPACE_ADMIN, workspace=acme.workspace),
        Role.PROJECT_OPERATOR: make_member(acme, Role.PROJECT_OPERATOR, project=acme.project),
        Role.PROJECT_VIEWER: make_member(acme, Role.PROJECT_VIEWER, project=acme.project),
        permissions.OTHER_OWNER: make_member(globex, Role.ORG_OWNER),
    }
    return World(
        here=place_make(acme, acme.project, make_member=make_member, make_token=make_token),
        beside=place_make(acme, foreign, make_member=make_member, make_token=make_token),
        asking={str(who): Api(token=_token(make_token, member)) for who, member in members.items()},
    )


def _token(make_token: MakeToken, member: Membership) -> str:
    """All that the member may do. (A viewer may mint none: the installation made theirs.)"""
    if member.role != Role.PROJECT_VIEWER:
        return make_token(member)[1]
    row, secret = _minted_for_viewer(make_token, member)
    assert row.membership_id == member.id
    return secret


def _minted_for_viewer(make_token: MakeToken, member: Membership) -> tuple[Token, str]:
    with scope.organization(member.organization_id):
        Membership.objects.filter(id=member.id).update(role=Role.PROJECT_OPERATOR)
        member.refresh_from_db()
        made = make_token(member)
        Membership.objects.filter(id=member.id).update(role=Role.PROJECT_VIEWER)
    return made


def ask(api: Api, endpoint: Endpoint, place: Place) -> tuple[int, str]:
    """What they are answered; nothing of it stays."""
    path = endpoint.path.format(**place.ids)
    body = BODIES[endpoint.name](place) if endpoint.request is not None else None
    with transaction.atomic():
        try:
            answer = api.ask(endpoint.method, path, body, if_match="*")
            for close in answer._resource_closers:
                close()
            return told(answer)
        finally:
            transaction.set_rollback(True)


def outcome_of(api: Api, endpoint: Endpoint, place: Place) -> str:
    status, code = ask(api, endpoint, place)
    if code in ("forbidden", "not_found"):
        return code
    # The machines are away: who gets so far may ask them.
    assert status < 300 or code == "connector_offline", f"{endpoint.name}: {status} {code}"
    return "allow"


def lines_found(world: World) -> Iterator[permissions.Line]:
    for endpoint in endpoints_find():
        has_target = bool(parameters_of(endpoint.path)) or endpoint.name in TARGET_IN_BODY
        places = {"-": world.here}
        if has_target:
            places = {"here": world.here}
            if "organization_id" not in parameters_of(endpoint.path):
                places["beside"] = world.beside
        for target, place in places.items():
            found = [outcome_of(world.asking[who], endpoint, place) for who in permissions.ASKING]
            if not has_target and found[-1] == "allow":
                found[-1] = "own"
            yield (f"{PREFIX}{endpoint.method} {endpoint.path}", target, *found)


def test_every_route_of_the_urls_is_tried() -> None:
    found = list(endpoints_find())
    assert {endpoint.name for endpoint in found} == {endpoint.name for endpoint in routes.ENDPOINTS}
    assert {endpoint.name for endpoint in found if endpoint.request is not None} == set(BODIES)


def test_each_role_may_do_what_was_reviewed_and_no_more(world: World) -> None:
    permissions.hold(PREFIX, lines_found(world))


@pytest.mark.parametrize("end", ["revoked_at", "expires_at"])
def test_a_token_that_ended_opens_no_route(
    world: World, make_member: MakeMember, make_token: MakeToken, end: str
) -> None:
    row, secret = make_token(make_member(world.here.tenant, Role.ORG_OWNER))
    with scope.organization(world.here.tenant.id):
        Token.objects.filter(id=row.id).update(**{end: datetime.now(UTC) - timedelta(seconds=1)})
    told_all = {endpoint.name: ask(Api(token=secret), endpoint, world.here) for endpoint in endpoints_find()}
    assert told_all == dict.fromkeys(told_all, (401, "unauthenticated"))


@pytest.mark.parametrize("token", ["", "rw_nothing", "ümlaut"])
def test_who_is_nobody_opens_no_route(world: World, token: str) -> None:
    told_all = {endpoint.name: ask(Api(token=token), endpoint, world.here) for endpoint in endpoints_find()}
    assert told_all == dict.fromkeys(told_all, (401, "unauthenticated"))


def test_another_tenants_ids_in_a_body_do_not_exist(world: World, globex: Tenant) -> None:
    owner = world.asking[Role.ORG_OWNER]
    foreign = str(globex.project.id)
    with scope.organization(world.here.tenant.id):
        before = Location.objects.get(id=world.here.ids["location_id"]).project_id
    path = f"/locations/{world.here.ids['location_id']}/project"
    assert told(owner.ask("PUT", path, {"project_id": foreign})) == (404, "not_found")
    mint = {"name": "x", "scopes": ["runs:read"], "project_ids": [foreign]}
    assert told(owner.ask("POST", "/tokens", mint)) == (404, "not_found")
    member = f"/memberships/{world.here.ids['membership_id']}"
    change = {"role": "project_viewer", "project_ids": [foreign]}
    assert told(owner.ask("PUT", member, change, if_match="*")) == (404, "not_found")
    with scope.organization(world.here.tenant.id):
        assert Location.objects.get(id=world.here.ids["location_id"]).project_id == before
