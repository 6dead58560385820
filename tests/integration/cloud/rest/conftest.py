"""Who asks, in tests of the HTTP API."""

from collections.abc import Callable

import pytest

from cloud.permissions.roles import Role
from cloud.tenancy.models import Membership
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.rest.client import Api
from tests.integration.cloud.tenants import Tenant

MakeApi = Callable[..., Api]


@pytest.fixture
def make_api(make_member: MakeMember, make_token: MakeToken) -> MakeApi:
    """A role's token in a tenant, at the API; of a member where one is given."""

    def make(tenant: Tenant, role: Role = Role.ORG_OWNER, *, member: Membership | None = None, **facts: object) -> Api:
        _, secret = make_token(member or make_member(tenant, role, **facts))
        return Api(token=secret)

    return make


@pytest.fixture
def owner(acme: Tenant, make_api: MakeApi) -> Api:
    """The owner of the tenant that most tests speak for."""
    return make_api(acme)
