"""The API tried with its own OpenAPI document: whatever is sent, by whomever, it answers as described, never with a
defect.

Calls are derived from the document, valid and not; ids that exist are put in, so that most get past the first check,
and whatever a call changes is undone. The machines are away."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from django.db import transaction
from pytest_django.plugin import DjangoDbBlocker
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cloud.access import authorization, selectors
from cloud.access import services as access
from cloud.access.models import TokenKind
from cloud.accounts.models import User
from cloud.permissions.roles import Role
from cloud.rest import routes
from cloud.tenancy import scope, services
from cloud.tenancy.models import Membership, Project
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.rest.client import Api
from tests.integration.cloud.rest.places import place_make
from tests.integration.cloud.tenants import Tenant

CONFIG = schemathesis.Config()
# Every combination of boundary values, one after the other, would take minutes; random ones find the same in the end.
CONFIG.projects.default.phases.coverage.enabled = False
SCHEMA = schemathesis.openapi.from_dict(routes.document_build(), config=CONFIG)
CHECKS = (status_code_conformance, content_type_conformance, response_schema_conformance)
STREAMED = r"/audit/export$"
SLOW = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": list(hypothesis.HealthCheck),
    "database": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Who asks, and ids of what there is, by the parameter that names them."""

    asking: dict[str, Api]
    ids: dict[str, str]


def _member(tenant: Tenant, role: Role, *, project: Project | None = None) -> Membership:
    user = User.objects.create_user(f"{role}-{User.objects.count()}@example.com", "a long password")
    with scope.organization(tenant.id):
        reach = [project.id] if project else None
        return Membership.objects.create(organization=tenant.organization, user=user, role=role, project_ids=reach)


def _token(member: Membership, *scopes: Scope, kind: TokenKind = TokenKind.PERSONAL) -> tuple[Any, str]:
    with scope.organization(member.organization_id):
        maker = selectors.user_principal(member.user, organization_id=member.organization_id)
        grant = authorization.authorize(maker, Scope.TOKENS_WRITE)
        return access.token_mint(grant=grant, name="x", scopes=scopes or maker.scopes, kind=kind)


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """One for all calls, each of which is undone."""
    with django_db_blocker.unblock(), transaction.atomic():
        organization, _ = services.organization_ensure(name="Conformance")
        with scope.organization(organization.id):
            workspace, _ = services.workspace_ensure(organization_id=organization.id, name="main", actor=None)
            project, _ = services.project_ensure(workspace=workspace, name="till", actor=None)
        tenant = Tenant(organization=organization, workspace=workspace, project=project)
        place = place_make(tenant, project, make_member=_member, make_token=_token)
        operator = _member(tenant, Role.PROJECT_OPERATOR, project=project)
        yield World(
            asking={
                "owner": Api(token=_token(_member(tenant, Role.ORG_OWNER))[1]),
                "operator": Api(token=_token(operator)[1]),
                "nobody": Api(token="rw_nobody"),
            },
            ids=place.ids,
        )
        transaction.set_rollback(True)


@SCHEMA.exclude(path_regex=STREAMED).parametrize()
@hypothesis.settings(max_examples=6, **SLOW)
def test_every_answer_is_as_described(case: schemathesis.Case, world: World) -> None:
    _try(case, world)


@pytest.mark.long
@SCHEMA.exclude(path_regex=STREAMED).parametrize()
@hypothesis.settings(max_examples=300, **SLOW)
def test_every_answer_is_as_described_to_many_more(case: schemathesis.Case, world: World) -> None:
    _try(case, world)


def _try(case: schemathesis.Case, world: World) -> None:
    for name in case.path_parameters:
        case.path_parameters[name] = world.ids.get(name, case.path_parameters[name])
    sent = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
    for api in world.asking.values():
        answer = _sent(api, sent)
        assert answer.status_code not in (500, 401) or api.token == "rw_nobody", answer.text
        case.validate_response(answer, checks=list(CHECKS))


def _sent(api: Api, sent: requests.PreparedRequest) -> Response:
    """The answer as the checks read it; nothing of it stays."""
    headers = {name: value for name, value in sent.headers.items() if name not in ("Content-Length", "Authorization")}
    with transaction.atomic():
        try:
            got = api.client.generic(
                str(sent.method),
                str(sent.path_url),
                sent.body or b"",
                content_type=headers.pop("Content-Type", "application/json"),
                headers={**headers, "Authorization": f"Bearer {api.token}"},
            )
        finally:
            transaction.set_rollback(True)
    return Response(
        status_code=got.status_code,
        headers={name.lower(): [value] for name, value in got.headers.items()},
        content=got.content,
        request=sent,
        elapsed=0,
        verify=False,
    )
