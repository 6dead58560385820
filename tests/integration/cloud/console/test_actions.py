from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from cloud.access.models import Token
from cloud.audit.models import AuditEvent
from cloud.connectors.models import Connector
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

SignIn = Callable[..., Client]


def act(browser: Client, name: str, action: str, row: Any) -> Any:
    return browser.post(
        reverse(f"admin:{name}_changelist"), {"action": action, "_selected_action": [str(row.pk)]}, follow=True
    )


@pytest.mark.parametrize("who", ["owner", "operator"])
def test_tokens_are_revoked_from_the_list(
    acme: Tenant, sign_in: SignIn, make_token: Any, make_member: Any, who: str
) -> None:
    token, _ = make_token(make_member(acme, Role.ORG_ADMIN))
    browser = sign_in(acme) if who == "owner" else sign_in()
    assert "The tokens are revoked." in act(browser, "access_token", "revoke_selected", token).content.decode()
    with scope.organization(acme.id):
        assert Token.objects.get().revoked_at is not None
        assert AuditEvent.objects.get(event_type="token:revoked").actor_kind == "user"


def test_a_machine_is_shut_out_and_let_in_again(
    acme: Tenant, sign_in: SignIn, make_connector: Callable[..., Connector]
) -> None:
    connector = make_connector(acme)
    browser = sign_in(acme)
    for action, status in (("disable_selected", "disabled"), ("enable_selected", "active")):
        act(browser, "connectors_connector", action, connector)
        with scope.organization(acme.id):
            assert Connector.objects.get().status == status


def test_a_viewer_cannot_act_by_posting(
    acme: Tenant, sign_in: SignIn, make_connector: Callable[..., Connector]
) -> None:
    connector = make_connector(acme)
    act(sign_in(acme, Role.PROJECT_VIEWER), "connectors_connector", "disable_selected", connector)
    with scope.organization(acme.id):
        assert Connector.objects.get().status == "active"


def test_another_tenants_rows_cannot_be_acted_upon(
    acme: Tenant, globex: Tenant, sign_in: SignIn, make_connector: Callable[..., Connector]
) -> None:
    theirs = make_connector(globex)
    act(sign_in(acme), "connectors_connector", "disable_selected", theirs)
    with scope.organization(globex.id):
        assert Connector.objects.get().status == "active"
