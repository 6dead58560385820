"""People looking at the admin."""

from collections.abc import Callable

import pytest
from django.contrib import admin
from django.template.response import SimpleTemplateResponse
from django.test import Client

from cloud.accounts.models import User
from cloud.permissions.roles import Role
from cloud.tenancy.models import Membership
from tests.integration.cloud.tenants import Tenant

SignIn = Callable[..., Client]


@pytest.fixture
def sign_in(make_member: Callable[..., Membership]) -> SignIn:
    """A browser in which a member with that role is signed in; without a tenant, an operator of the installation."""

    def make(tenant: Tenant | None = None, role: Role = Role.ORG_OWNER, **bound: object) -> Client:
        client = Client()
        if tenant is None:
            client.force_login(User.objects.create_superuser("operator@example.com", "a long password"))
        else:
            client.force_login(make_member(tenant, role, **bound).user)
        return client

    return make


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are answered without being drawn, where it only matters who gets to see them."""
    monkeypatch.setattr(SimpleTemplateResponse, "rendered_content", "")
    # The sidebar asks of every page there is whether to lead there.
    monkeypatch.setattr(type(admin.site), "each_context", lambda _site, _request: {})
