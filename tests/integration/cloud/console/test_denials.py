"""A page that somebody was refused stands in their organization's audit, once in a while."""

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import reverse

from cloud.accounts.models import User
from cloud.audit.installation import INSTALLATION
from cloud.audit.models import AuditEvent
from cloud.connectors.models import Connector
from cloud.console import denials
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from tests.integration.cloud.conftest import MakeConnector, MakeMember
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

NOBODYS = "01900000-0000-7000-8000-000000000000"


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    denials._told.forget()
    yield
    denials._told.forget()


def told(organization_id: object) -> list[tuple[str, str, str]]:
    with scope.organization(organization_id):  # type: ignore[arg-type]
        rows = AuditEvent.objects.filter(event_type="page:denied").order_by("id")
        return list(rows.values_list("actor_label", "details__code", "details__path"))


def signed_in(user: User) -> Client:
    browser = Client()
    browser.force_login(user)
    return browser


def test_a_page_that_one_may_not_see_is_told_once_a_minute(
    acme: Tenant, globex: Tenant, make_member: MakeMember
) -> None:
    viewer = make_member(acme, Role.PROJECT_VIEWER, project=acme.project).user
    browser = signed_in(viewer)
    path = "/admin/access/token/mint/"
    assert [browser.get(path).status_code, browser.get(path).status_code] == [403, 403]
    assert told(acme.id) == [(viewer.email, "forbidden", path)]
    assert told(globex.id) == []


def test_another_tenants_row_is_told_as_what_is_not_there(
    acme: Tenant, globex: Tenant, make_member: MakeMember
) -> None:
    owner = make_member(acme, Role.ORG_OWNER).user
    path = f"/admin/tenancy/project/{globex.project.id}/change/"
    assert signed_in(owner).get(path).status_code == 404
    assert told(acme.id) == [(owner.email, "not_found", path)]
    assert told(globex.id) == []


def test_an_operators_denials_stand_in_the_installations_chain(acme: Tenant) -> None:
    operator = User.objects.create_superuser("operator@example.com", "a long password")
    path = f"/admin/tenancy/project/{NOBODYS}/change/"
    assert signed_in(operator).get(path).status_code == 404
    assert told(INSTALLATION) == [(operator.email, "not_found", path)]


def test_what_is_answered_and_what_nobody_signed_in_asks_is_not_told(acme: Tenant, make_member: MakeMember) -> None:
    owner = make_member(acme, Role.ORG_OWNER).user
    assert signed_in(owner).get("/admin/").status_code == 200
    Client().get(f"/admin/tenancy/project/{NOBODYS}/change/")
    assert told(acme.id) == told(INSTALLATION) == []


def test_a_path_that_json_cannot_hold_is_refused_and_told_like_any_other(acme: Tenant, make_member: MakeMember) -> None:
    owner = make_member(acme, Role.ORG_OWNER).user
    assert signed_in(owner).get("/admin/a%00b/").status_code == 404
    assert told(acme.id) == [(owner.email, "not_found", "/admin/a\ufffdb/")]


def act(browser: Client, *rows: Connector, action: str = "disable_selected") -> int:
    chosen = {"action": action, "index": "0", "_selected_action": [str(row.pk) for row in rows]}
    return browser.post(reverse("admin:connectors_connector_changelist"), chosen).status_code


def test_an_action_that_a_role_may_not_take_is_refused_and_told(
    acme: Tenant, make_member: MakeMember, make_connector: MakeConnector
) -> None:
    machine = make_connector(acme)
    viewer = make_member(acme, Role.PROJECT_VIEWER, project=acme.project).user
    assert act(signed_in(viewer), machine) == 403
    assert told(acme.id) == [(viewer.email, "forbidden", reverse("admin:connectors_connector_changelist"))]
    with scope.organization(acme.id):
        assert Connector.objects.get().status == "active"


def test_what_is_no_action_of_the_list_is_no_denial(acme: Tenant, make_member: MakeMember) -> None:
    owner = make_member(acme, Role.ORG_OWNER).user
    assert act(signed_in(owner), action="") == act(signed_in(owner), action="nonsense") == 302
    assert told(acme.id) == []


def test_the_rows_that_an_action_was_refused_for_are_told(
    acme: Tenant, make_member: MakeMember, make_connector: MakeConnector
) -> None:
    """A machine that left is still listed, and nobody's to shut out."""
    here, left = make_connector(acme), make_connector(acme)
    with scope.organization(acme.id):
        Connector.objects.filter(pk=left.pk).update(released_at=left.created_at)
    owner = make_member(acme, Role.ORG_OWNER).user
    assert act(signed_in(owner), here, left) == 302
    with scope.organization(acme.id):
        details = AuditEvent.objects.get(event_type="page:denied").details
        assert Connector.objects.get(pk=here.pk).status == "disabled"
    path = reverse("admin:connectors_connector_changelist")
    assert details == {
        "code": "not_found", "method": "POST", "path": path, "action": "disable_selected", "rows": [str(left.pk)],
    }  # fmt: skip
