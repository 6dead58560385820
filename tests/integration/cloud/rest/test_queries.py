"""What a page costs the database: the same, however many rows stand on it."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cloud.permissions.roles import Role
from cloud.rest import routes
from cloud.rest.paths import parameters_of
from cloud.tenancy import scope
from cloud.tenancy import services as tenancy
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.rest.client import Api
from tests.integration.cloud.rest.places import Place, place_make
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

LISTS = sorted(
    endpoint.path
    for endpoint in routes.ENDPOINTS
    if endpoint.method == "GET" and endpoint.response and "items" in endpoint.response.model_fields
)
MOST = 7
"""Who asks; the page; and what stands beside each row, all at once."""
UNCHANGED = {"/organizations", "/audit/counts", "/usage", "/usage/costs"}
"""Lists that hold no more rows where there are more projects."""


@pytest.fixture
def more(acme: Tenant, make_member: MakeMember, make_token: MakeToken) -> Callable[[str], Place]:
    def make(name: str) -> Place:
        with scope.organization(acme.id):
            workspace, _ = tenancy.workspace_ensure(organization_id=acme.id, name=name, actor=None)
            project, _ = tenancy.project_ensure(workspace=workspace, name=name, actor=None)
        return place_make(acme, project, make_member=make_member, make_token=make_token)

    return make


def queries_of(api: Api, path: str) -> tuple[int, int]:
    """How many statements a page takes, and how many rows it tells."""
    with CaptureQueriesContext(
        connection,
    ) as captured:
        found = api.get(path)
    asked = [query for query in captured if "SAVEPOINT" not in query["sql"]]
    return len(asked), len(found["items"])


def test_a_page_of_many_rows_takes_as_many_queries_as_one_of_few(
    acme: Tenant, more: Callable[[str], Place], make_member: MakeMember, make_token: MakeToken
) -> None:
    api = Api(token=make_token(make_member(acme, Role.ORG_OWNER))[1])
    place = more("first")
    paths = [path.format(**place.ids) for path in LISTS]
    for path in paths:
        api.get(path)
    few = {path: queries_of(api, path) for path in paths}
    for name in ("second", "third", "fourth"):
        more(name)
    many = {path: queries_of(api, path) for path in paths}
    assert {path: queries for path, (queries, _) in many.items()} == {
        path: queries for path, (queries, _) in few.items()
    }
    grown = {path for path in LISTS if not parameters_of(path) and many[path][1] > few[path][1]}
    assert {path for path in LISTS if not parameters_of(path)} - grown == UNCHANGED
    assert {path: queries for path, (queries, _) in many.items() if queries > MOST} == {}


def test_a_machine_with_all_it_has_takes_few_queries(
    acme: Tenant, more: Callable[[str], Place], make_member: MakeMember, make_token: MakeToken
) -> None:
    api = Api(token=make_token(make_member(acme, Role.ORG_OWNER))[1])
    path = f"/connectors/{more('first').ids['connector_id']}"
    api.get(path)
    with CaptureQueriesContext(connection) as captured:
        api.get(path)
    assert len(captured) <= 8
