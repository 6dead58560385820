from itertools import pairwise

import pytest

from cloud.permissions import matrix
from cloud.permissions.roles import Role
from local_daemon.protocol.scopes import Scope


def test_every_role_has_a_row() -> None:
    assert set(matrix.SCOPES_OF) == set(Role)


def test_the_owner_may_do_everything() -> None:
    assert matrix.scopes_of(Role.ORG_OWNER) == frozenset(Scope)


@pytest.mark.parametrize("scope", Scope)
def test_a_viewer_changes_nothing(scope: Scope) -> None:
    if scope.endswith((":write", ":decide")):
        assert not matrix.allows(Role.PROJECT_VIEWER, scope)


def test_only_the_owner_changes_the_organization_itself() -> None:
    assert [role for role in Role if matrix.allows(role, Scope.ORGANIZATION_WRITE)] == [Role.ORG_OWNER]


def test_each_role_may_do_all_that_the_one_below_it_may() -> None:
    ladder = [Role.ORG_OWNER, Role.ORG_ADMIN, Role.WORKSPACE_ADMIN, Role.PROJECT_OPERATOR, Role.PROJECT_VIEWER]
    for higher, lower in pairwise(ladder):
        assert matrix.scopes_of(higher) > matrix.scopes_of(lower)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        matrix.SCOPES_OF[Role.PROJECT_VIEWER] = frozenset(Scope)  # type: ignore[index]
