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


def act(browser: Client, name: str, action: str, *rows: Any) -> Any:
    return browser.post(
        reverse(f"admin:{name}_changelist"),
        {"action": action, "index": "0", "_selected_action": [str(row.pk) for row in rows]},
        follow=True,
    )


def said(answer: Any) -> list[str]:
    return [message.message for message in answer.context["messages"]]


@pytest.mark.parametrize("who", ["owner", "operator"])
def test_tokens_are_revoked_from_the_list(
    acme: Tenant, sign_in: SignIn, make_token: Any, make_member: Any, who: str
) -> None:
    token, _ = make_token(make_member(acme, Role.ORG_ADMIN))
    browser = sign_in(acme) if who == "owner" else sign_in()
    assert said(act(browser, "access_token", "revoke_selected", token)) == ["1 token is revoked."]
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


def test_what_was_so_already_is_counted_apart(acme: Tenant, sign_in: SignIn, make_token: Any, make_member: Any) -> None:
    member = make_member(acme, Role.ORG_ADMIN)
    tokens = [make_token(member)[0] for _ in range(3)]
    browser = sign_in(acme)
    act(browser, "access_token", "revoke_selected", tokens[0])
    assert said(act(browser, "access_token", "revoke_selected", tokens[0])) == [
        "1 token is revoked already: nothing was changed."
    ]
    assert said(act(browser, "access_token", "revoke_selected", *tokens)) == ["2 tokens are revoked. 1 was so already."]


def test_nothing_is_called_done_where_nothing_was_chosen(
    acme: Tenant, globex: Tenant, sign_in: SignIn, make_connector: Callable[..., Connector]
) -> None:
    make_connector(acme)
    theirs = make_connector(globex)
    browser = sign_in(acme)
    assert said(act(browser, "connectors_connector", "disable_selected", theirs)) == ["Nothing was changed."]
    (none,) = said(act(browser, "connectors_connector", "disable_selected"))
    assert "must be selected" in none


def test_what_is_refused_of_one_row_does_not_keep_the_others_from_it(
    acme: Tenant, sign_in: SignIn, make_connector: Callable[..., Connector], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_connector(acme), make_connector(acme)
    with scope.organization(acme.id):
        released = Connector.objects.get(pk=second.pk)
        released.released_at = released.created_at
        released.save(update_fields=["released_at"])
    told = said(act(sign_in(acme), "connectors_connector", "disable_selected", first, second))
    assert [sentence.partition(":")[0] for sentence in told] == [str(second), "1 machine is shut out."]
    with scope.organization(acme.id):
        assert Connector.objects.get(pk=first.pk).status == "disabled"
