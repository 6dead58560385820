"""Who was removed or deactivated sees nothing of the organization any more, at whatever address, in their old session.

The addresses are those of `test_permissions`: one that is added tomorrow is tried tomorrow."""

from collections.abc import Callable, Collection

import pytest
from django.test import Client

from cloud.permissions.roles import Role
from cloud.tenancy import scope
from cloud.tenancy.models import Membership, Status
from tests.integration.cloud.conftest import MakeMember
from tests.integration.cloud.console.test_permissions import VIEWS
from tests.integration.cloud.everything import everything_make
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

ADDRESSES = sorted({f"/{view.route}" for view in VIEWS if "<" not in view.route and view.route.startswith("admin/")})
NAMED = "Zanzibar"


def removed(member: Membership) -> None:
    with scope.organization(member.organization_id):
        Membership.objects.filter(id=member.id).update(status=Status.DISABLED)


def deactivated(member: Membership) -> None:
    member.user.is_active = False
    member.user.save()


def no_longer_staff(member: Membership) -> None:
    member.user.is_staff = False
    member.user.save()


@pytest.fixture
def tenant(make_tenant: Callable[[str], Tenant]) -> Tenant:
    return make_tenant(NAMED)


def seen(browser: Client, addresses: Collection[str]) -> set[str]:
    """Those of the addresses whose answers name the organization."""
    found = set()
    for address in addresses:
        answer = browser.get(address)
        assert answer.status_code < 500, address
        # What streams is an export, of the organization's own.
        if answer.streaming or NAMED.lower().encode() in answer.content.lower():
            found.add(address)
    return found


@pytest.mark.parametrize("end", [removed, deactivated, no_longer_staff])
def test_an_old_session_shows_nothing_of_the_organization(
    tenant: Tenant, make_member: MakeMember, end: Callable[[Membership], None]
) -> None:
    member = make_member(tenant, Role.ORG_OWNER)
    everything_make(tenant)
    browser = Client()
    browser.force_login(member.user)
    telling = {"/admin/", "/admin/tenancy/project/"}
    assert telling < set(ADDRESSES)
    assert seen(browser, telling) == telling
    end(member)
    assert seen(browser, ADDRESSES) == set()
