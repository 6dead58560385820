"""Tokens that tokens minted: whose use counts against whom, and that nothing leads out of that."""

import pytest

from cloud.access import authentication, authorization, lines, services
from cloud.access import selectors as access
from cloud.access.models import Token, TokenKind
from cloud.access.principals import Grant, Principal
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from cloud.tenancy.models import Membership
from local_daemon.protocol import errors, ids
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

Minted = tuple[Token, str]


@pytest.fixture
def owner(acme: Tenant, make_member: MakeMember) -> Membership:
    return make_member(acme, Role.ORG_OWNER)


@pytest.fixture
def root(owner: Membership, make_token: MakeToken) -> Minted:
    return make_token(owner, kind=TokenKind.SERVICE)


def as_token(secret: str) -> Grant:
    principal: Principal = authentication.authenticate_bearer(secret)
    return authorization.authorize(principal, Scope.TOKENS_WRITE)


def mint(tenant: Tenant, secret: str) -> Minted:
    """A token minted by the one with this secret, which can all that it can."""
    grant = as_token(secret)
    with scope.organization(tenant.id):
        return services.token_mint(
            grant=grant, name="child", scopes=grant.principal.scopes, kind=TokenKind.SERVICE
        )  # fmt: skip


def rotate(tenant: Tenant, secret: str, token: Token) -> Minted:
    grant = as_token(secret)
    with scope.organization(tenant.id):
        return services.token_rotate(grant=grant, token_id=token.id)


def line(tenant: Tenant, token: Token) -> tuple[object, ...]:
    with scope.organization(tenant.id):
        return lines.line_of(token.id)


def test_a_line_goes_from_a_token_to_the_one_that_a_person_minted(acme: Tenant, root: Minted) -> None:
    child, secret = mint(acme, root[1])
    grandchild, _ = mint(acme, secret)
    assert line(acme, grandchild) == (grandchild.id, child.id, root[0].id)
    assert line(acme, root[0]) == (root[0].id,)


def test_a_token_that_took_anothers_place_is_counted_as_that_one(acme: Tenant, root: Minted) -> None:
    child, secret = mint(acme, root[1])
    second, secret = rotate(acme, secret, child)
    third, _ = rotate(acme, secret, second)
    assert line(acme, third) == line(acme, child) == (child.id, root[0].id)


def test_no_other_tenants_token_is_in_a_line(acme: Tenant, globex: Tenant, root: Minted) -> None:
    child, _ = mint(acme, root[1])
    assert line(globex, child) == (child.id,)
    with scope.organization(globex.id):
        assert lines.below(root[0].id) == []


def test_below_a_token_is_all_that_counts_as_it(acme: Tenant, root: Minted) -> None:
    child, secret = mint(acme, root[1])
    grandchild, _ = mint(acme, secret)
    second, _ = rotate(acme, root[1], child)
    with scope.organization(acme.id):
        assert set(lines.below(root[0].id)) == {root[0].id, child.id, grandchild.id, second.id}
        assert set(lines.below(child.id)) == {child.id, grandchild.id, second.id}


def test_a_line_is_only_so_long(acme: Tenant, root: Minted) -> None:
    last = root
    for _ in range(services.LINE_MAX - 1):
        last = mint(acme, last[1])
    assert len(line(acme, last[0])) == services.LINE_MAX
    with pytest.raises(errors.Forbidden, match="in a line"):
        mint(acme, last[1])


def test_a_token_that_adopts_its_own_child_does_not_free_it(acme: Tenant, root: Minted, make_token: MakeToken) -> None:
    child, _ = mint(acme, root[1])
    grant = as_token(root[1])
    with scope.organization(acme.id):
        services.token_adopt(grant=grant, token_id=child.id)
        assert lines.line_of(child.id) == (child.id, root[0].id)


def test_a_person_who_adopts_a_token_takes_it_out_of_the_line(
    acme: Tenant, root: Minted, owner: Membership
) -> None:  # fmt: skip
    child, _ = mint(acme, root[1])
    with scope.organization(acme.id):
        principal = access.user_principal(owner.user, organization_id=acme.id)
        services.token_adopt(grant=authorization.authorize(principal, Scope.TOKENS_WRITE), token_id=child.id)
        assert lines.line_of(child.id) == (child.id,)


def test_of_a_token_that_is_not_there_the_line_is_itself(acme: Tenant) -> None:
    nobody = ids.new_uuid7()
    with scope.organization(acme.id):
        assert lines.line_of(nobody) == (nobody,)
