"""Links to a new password: for whom one may be made, and that one works once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from cloud.access import authorization, selectors
from cloud.accounts.models import User
from cloud.audit.models import AuditEvent
from cloud.permissions.roles import Role
from cloud.tenancy import password_links, scope
from cloud.tenancy.models import Membership, Organization, Status
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

MakeMember = Callable[..., Membership]
PHRASE = "another long phrase"


@pytest.fixture
def admin(acme: Tenant, make_member: MakeMember) -> Membership:
    return make_member(acme, Role.ORG_ADMIN)


@pytest.fixture
def member(acme: Tenant, make_member: MakeMember) -> Membership:
    return make_member(acme, Role.PROJECT_OPERATOR)


def link(admin: Membership, member: Membership) -> str:
    with scope.organization(admin.organization_id):
        who = selectors.user_principal(admin.user, organization_id=admin.organization_id)
        grant = authorization.authorize(who, Scope.MEMBERS_WRITE)
        return password_links.password_link_create(grant=grant, membership_id=member.id)[1]


def test_a_link_gives_another_password_once_and_is_audited(admin: Membership, member: Membership) -> None:
    secret = link(admin, member)
    assert password_links.password_link_look(secret=secret) == member.user
    password_links.password_link_use(secret=secret, password=PHRASE)
    assert User.objects.get(pk=member.user_id).check_password(PHRASE)
    with pytest.raises(errors.Expired):
        password_links.password_link_use(secret=secret, password="yet another phrase")
    with scope.organization(admin.organization_id):
        told = AuditEvent.objects.get(event_type="user:password_link_made")
        used = AuditEvent.objects.get(event_type="user:password_link_used")
    assert (told.actor_id, told.target_id) == (str(admin.user_id), str(member.user_id))
    assert (used.target_id, used.details["made_by"]) == (str(member.user_id), admin.user.email)
    assert secret not in f"{told.details}{used.details}"


def test_a_weak_password_is_refused_and_the_link_stays(admin: Membership, member: Membership) -> None:
    secret = link(admin, member)
    with pytest.raises(errors.InvalidRequest):
        password_links.password_link_use(secret=secret, password="password")
    assert password_links.password_link_look(secret=secret) == member.user


def test_a_link_ends_with_the_next_sign_in(admin: Membership, member: Membership) -> None:
    secret = link(admin, member)
    User.objects.filter(pk=member.user_id).update(last_login=datetime.now(UTC))
    with pytest.raises(errors.Expired):
        password_links.password_link_look(secret=secret)


def test_a_link_ends_by_itself(admin: Membership, member: Membership, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = link(admin, member)
    later = datetime.now() + password_links.TTL + timedelta(seconds=2)  # noqa: DTZ005 - as Django's own clock
    monkeypatch.setattr(password_links._links, "_now", lambda: later)
    with pytest.raises(errors.Expired):
        password_links.password_link_look(secret=secret)


@pytest.mark.parametrize("facts", [{"status": Status.DISABLED}, {"role": Role.PROJECT_OPERATOR}])
def test_a_link_ends_with_its_makers_rights(admin: Membership, member: Membership, facts: dict[str, str]) -> None:
    secret = link(admin, member)
    with scope.organization(admin.organization_id):
        Membership.objects.filter(id=admin.id).update(**facts)
    with pytest.raises(errors.Expired):
        password_links.password_link_use(secret=secret, password=PHRASE)


def test_a_link_ends_with_its_makers_account_and_when_they_come_back(admin: Membership, member: Membership) -> None:
    secret = link(admin, member)
    User.objects.filter(pk=admin.user_id).update(is_active=False)
    with pytest.raises(errors.Expired):
        password_links.password_link_look(secret=secret)
    User.objects.filter(pk=admin.user_id).update(is_active=True)
    with scope.organization(admin.organization_id):
        Membership.objects.filter(id=admin.id).update(active_since=datetime.now(UTC))
    with pytest.raises(errors.Expired):
        password_links.password_link_look(secret=secret)


@pytest.mark.parametrize("facts", [{"role": Role.ORG_OWNER}, {"version": 2}, {"status": Status.DISABLED}])
def test_a_link_ends_when_its_person_becomes_something_else(
    admin: Membership, member: Membership, facts: dict[str, str]
) -> None:
    secret = link(admin, member)
    with scope.organization(admin.organization_id):
        Membership.objects.filter(id=member.id).update(**facts)
    with pytest.raises(errors.Expired):
        password_links.password_link_use(secret=secret, password=PHRASE)


def test_an_operators_link_ends_when_they_are_none_any_more(
    acme: Tenant, member: Membership, make_member: MakeMember
) -> None:
    operator = make_member(acme, Role.PROJECT_VIEWER)
    User.objects.filter(pk=operator.user_id).update(is_superuser=True)
    operator.user.refresh_from_db()
    secret = link(operator, member)
    assert password_links.password_link_look(secret=secret) == member.user
    User.objects.filter(pk=operator.user_id).update(is_superuser=False)
    with pytest.raises(errors.Expired):
        password_links.password_link_look(secret=secret)


@pytest.mark.parametrize("secret", ["", "x", "-", f"{'0' * 32}-x", f"{'0' * 32}", "é-é"])
def test_what_is_no_link_is_none(db: None, secret: str) -> None:
    with pytest.raises(errors.Expired):
        password_links.password_link_look(secret=secret)


def test_nobody_makes_one_for_who_is_more_than_they_are(
    acme: Tenant, admin: Membership, make_member: MakeMember
) -> None:
    with pytest.raises(errors.Forbidden):
        link(admin, make_member(acme, Role.ORG_OWNER))


def test_no_administrator_makes_one_for_who_is_somebody_elsewhere_too(
    globex: Tenant, admin: Membership, member: Membership
) -> None:
    with scope.organization(globex.id):
        Membership.objects.create(organization=globex.organization, user=member.user, role=Role.PROJECT_VIEWER)
    with pytest.raises(errors.Forbidden, match="operator"):
        link(admin, member)
    # Nor where that organization is suspended.
    with scope.operator():
        Organization.objects.filter(pk=globex.id).update(status="suspended")
    with pytest.raises(errors.Forbidden, match="operator"):
        link(admin, member)


def test_a_link_ends_when_its_person_becomes_somebody_elsewhere(
    globex: Tenant, admin: Membership, member: Membership
) -> None:
    secret = link(admin, member)
    with scope.organization(globex.id):
        Membership.objects.create(organization=globex.organization, user=member.user, role=Role.PROJECT_VIEWER)
    with pytest.raises(errors.Expired):
        password_links.password_link_use(secret=secret, password=PHRASE)


@pytest.mark.parametrize("fact", [{"is_superuser": True}, {"is_active": False}])
def test_neither_an_operator_nor_who_is_deactivated_gets_one(
    admin: Membership, member: Membership, fact: dict[str, bool]
) -> None:
    secret = link(admin, member)
    User.objects.filter(pk=member.user_id).update(**fact)
    with pytest.raises(errors.Forbidden):
        link(admin, member)
    with pytest.raises(errors.Expired):
        password_links.password_link_use(secret=secret, password=PHRASE)


def test_another_tenants_member_does_not_exist(admin: Membership, globex: Tenant, make_member: MakeMember) -> None:
    with pytest.raises(errors.NotFound):
        link(admin, make_member(globex, Role.PROJECT_VIEWER))
