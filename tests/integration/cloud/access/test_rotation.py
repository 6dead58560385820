"""Tokens are rotated, adopted and ended, and what serves hears of it."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.conf import settings
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from cloud.access import authentication, authorization, selectors, services
from cloud.access.models import Token, TokenKind
from cloud.access.principals import Grant
from cloud.access.selectors import TokenState
from cloud.audit.models import AuditEvent
from cloud.config import database_url
from cloud.permissions.roles import Role
from cloud.tenancy import memberships, revocations, scope
from cloud.tenancy.models import Membership
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

MakeMember = Callable[..., Membership]
MakeToken = Callable[..., tuple[Token, str]]


def as_person(member: Membership, wanted: Scope = Scope.TOKENS_WRITE) -> Grant:
    principal = selectors.user_principal(member.user, organization_id=member.organization_id)
    return authorization.authorize(principal, wanted)


def as_token(secret: str, wanted: Scope = Scope.TOKENS_WRITE) -> Grant:
    return authorization.authorize(authentication.authenticate_bearer(secret), wanted)


def at_once(
    begin: threading.Barrier, change: Callable[..., Any], grant: Grant, token_id: UUID, refused: list[Exception]
) -> None:
    try:
        begin.wait(30)
        with scope.organization(grant.organization_id):
            change(grant=grant, token_id=token_id)
    except Exception as error:  # noqa: BLE001 - the test says which may be
        refused.append(error)
    finally:
        connections.close_all()


def is_good(secret: str) -> bool:
    try:
        authentication.authenticate_bearer(secret)
    except errors.Unauthenticated:
        return False
    return True


def test_what_a_token_minted_ends_with_it_when_another_takes_its_place(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    member = make_member(acme, Role.ORG_OWNER)
    old, old_secret = make_token(member)
    with scope.organization(acme.id):
        maker = as_token(old_secret)
        child, child_secret = services.token_mint(grant=maker, name="child", scopes=maker.principal.scopes)
        _, grandchild = services.token_mint(grant=as_token(child_secret), name="grandchild", scopes=[Scope.RUNS_READ])
        _, secret = services.token_rotate(grant=as_person(member), token_id=old.id)
        told = AuditEvent.objects.filter(event_type="token:revoked").values_list("target_id", "details__with")
        assert (str(child.id), str(old.id)) in set(told)
    good = [is_good(each) for each in (old_secret, child_secret, grandchild, secret)]
    assert good == [False, False, False, True]


def test_what_a_token_minted_goes_on_for_its_overlap_at_most(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    member = make_member(acme, Role.ORG_OWNER)
    old, old_secret = make_token(member)
    soon = datetime.now(UTC) + timedelta(minutes=1)
    with scope.organization(acme.id):
        lasting, _ = services.token_mint(grant=as_token(old_secret), name="lasting", scopes=[Scope.RUNS_READ])
        brief, _ = services.token_mint(
            grant=as_token(old_secret), name="brief", scopes=[Scope.RUNS_READ], expires_at=soon
        )
        services.token_rotate(grant=as_person(member), token_id=old.id, overlap=timedelta(hours=1))
        ends = dict(Token.objects.values_list("id", "expires_at"))
        told = AuditEvent.objects.filter(event_type="token:shortened").values_list("target_id", "details__ends_at")
        assert dict(told) == {str(lasting.id): ends[lasting.id].isoformat()}
    assert ends[lasting.id] == ends[old.id]
    assert ends[brief.id] == soon


def test_a_token_that_was_ended_meanwhile_mints_nothing(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    member = make_member(acme, Role.ORG_OWNER)
    leaked, secret = make_token(member)
    with scope.organization(acme.id):
        authenticated = as_token(secret)
        services.token_rotate(grant=as_person(member), token_id=leaked.id, overlap=timedelta(hours=1))
        bounded, _ = services.token_mint(grant=authenticated, name="bounded", scopes=[Scope.RUNS_READ])
        assert bounded.expires_at == Token.objects.get(id=leaked.id).expires_at
        services.token_revoke(grant=as_person(member), token_id=leaked.id)
        with pytest.raises(errors.Unauthenticated):
            services.token_mint(grant=authenticated, name="survivor", scopes=[Scope.RUNS_READ])
        assert not Token.objects.filter(maker=leaked, revoked_at=None).exists()


@pytest.mark.django_db(transaction=True)
def test_what_a_token_minted_does_not_escape_its_end_by_rotating_itself_at_once(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    member = make_member(acme, Role.ORG_OWNER)
    for _ in range(10):
        maker, secret = make_token(member)
        with scope.organization(acme.id):
            child, child_secret = services.token_mint(
                grant=as_token(secret), name="child", scopes=[Scope.TOKENS_WRITE, Scope.RUNS_READ]
            )
            revoking, rotating = as_person(member), as_token(child_secret)
        refused: list[Exception] = []
        begin = threading.Barrier(2)
        threads = [
            threading.Thread(target=at_once, args=(begin, services.token_revoke, revoking, maker.id, refused)),
            threading.Thread(target=at_once, args=(begin, services.token_rotate, rotating, child.id, refused)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        # Whoever came first: the maker has ended, and so has all below it.
        assert all(isinstance(error, errors.InvalidTransition) for error in refused), refused
        with scope.organization(acme.id):
            assert Token.objects.get(id=maker.id).revoked_at is not None
            assert not Token.objects.filter(maker=maker, revoked_at=None).exists()


def test_a_token_does_not_take_the_place_of_the_one_that_minted_it(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    old, old_secret = make_token(make_member(acme, Role.ORG_OWNER))
    with scope.organization(acme.id):
        maker = as_token(old_secret)
        _, child_secret = services.token_mint(grant=maker, name="child", scopes=maker.principal.scopes)
        with pytest.raises(errors.Forbidden):
            services.token_rotate(grant=as_token(child_secret), token_id=old.id)
    assert is_good(old_secret)


def test_a_rotated_token_goes_on_for_its_overlap_only(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    member = make_member(acme, Role.PROJECT_OPERATOR)
    old, old_secret = make_token(member, Scope.RUNS_READ, project_ids=[acme.project.id])
    with scope.organization(acme.id):
        new, secret = services.token_rotate(grant=as_person(member), token_id=old.id, overlap=timedelta(hours=1))
    assert (new.name, new.scopes, new.project_ids, new.kind) == (old.name, old.scopes, old.project_ids, old.kind)
    assert (is_good(old_secret), is_good(secret)) == (True, True)
    with scope.organization(acme.id):
        again, last = services.token_rotate(grant=as_person(member), token_id=new.id)
        assert Token.objects.get(id=old.id).expires_at <= datetime.now(UTC) + timedelta(hours=1)
        with pytest.raises(errors.InvalidTransition):
            services.token_rotate(grant=as_person(member), token_id=new.id)
    assert (is_good(secret), is_good(last)) == (False, True)
    assert again.expires_at is None


def test_a_rotated_token_lives_as_long_as_the_old_one_was_made_for(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    member = make_member(acme, Role.PROJECT_OPERATOR)
    old, _ = make_token(member, expires_at=datetime.now(UTC) + timedelta(days=30))
    with scope.organization(acme.id):
        Token.objects.filter(id=old.id).update(
            created_at=old.created_at - timedelta(days=20), expires_at=datetime.now(UTC) + timedelta(days=10)
        )
        new, _ = services.token_rotate(grant=as_person(member), token_id=old.id)
    assert new.expires_at is not None
    assert timedelta(days=29) < new.expires_at - datetime.now(UTC) < timedelta(days=31)


def test_nobody_learns_the_secret_of_another_persons_token(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    owner, admin = make_member(acme, Role.ORG_OWNER), make_member(acme, Role.ORG_ADMIN)
    token, _ = make_token(owner)
    with scope.organization(acme.id), pytest.raises(errors.Forbidden):
        services.token_rotate(grant=as_person(admin), token_id=token.id)


def test_a_token_rotates_no_token_that_can_more(acme: Tenant, make_member: MakeMember, make_token: MakeToken) -> None:
    member = make_member(acme, Role.PROJECT_OPERATOR)
    wide, _ = make_token(member)
    far, _ = make_token(member, Scope.RUNS_READ)
    _, narrow = make_token(member, Scope.TOKENS_WRITE, Scope.RUNS_READ, project_ids=[acme.project.id])
    with scope.organization(acme.id):
        for token in (wide, far):
            with pytest.raises(errors.Forbidden):
                services.token_rotate(grant=as_token(narrow), token_id=token.id)


def test_a_token_made_by_a_token_ends_with_it_and_not_later(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    member = make_member(acme, Role.ORG_ADMIN)
    first, secret = make_token(member, expires_at=datetime.now(UTC) + timedelta(days=1))
    with scope.organization(acme.id):
        second, second_secret = services.token_mint(
            grant=as_token(secret), name="child", scopes=[Scope.TOKENS_WRITE, Scope.RUNS_READ]
        )
        _, third_secret = services.token_mint(grant=as_token(second_secret), name="grandchild", scopes=[])
        assert second.expires_at == first.expires_at
        services.token_revoke(grant=as_person(member), token_id=first.id)
    assert [is_good(text) for text in (secret, second_secret, third_secret)] == [False, False, False]


def test_a_planners_token_administers_nothing(acme: Tenant, make_member: MakeMember, make_token: MakeToken) -> None:
    owner = make_member(acme, Role.ORG_OWNER)
    with pytest.raises(errors.Forbidden):
        make_token(owner, Scope.TOKENS_WRITE, kind=TokenKind.PLANNER)
    token, secret = make_token(owner, Scope.RUNS_WRITE, kind=TokenKind.PLANNER)
    with scope.organization(acme.id):
        Token.objects.filter(id=token.id).update(scopes=["runs:write", "members:write"])
    assert authentication.authenticate_bearer(secret).scopes == {Scope.RUNS_WRITE}


def test_a_services_token_is_adopted_and_outlives_its_first_holder(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    leaver, admin = make_member(acme, Role.ORG_OWNER), make_member(acme, Role.ORG_ADMIN)
    boss = make_member(acme, Role.ORG_OWNER)
    token, secret = make_token(leaver, Scope.RUNS_READ, Scope.ORGANIZATION_WRITE, kind=TokenKind.SERVICE)
    own, _ = make_token(leaver)
    with scope.organization(acme.id):
        memberships.membership_remove(
            grant=as_person(boss, Scope.MEMBERS_WRITE), membership_id=leaver.id, expected_version=None
        )
        seen = selectors.token_page(grant=as_person(admin, Scope.TOKENS_READ), state=TokenState.ORPHANED).items
        assert {row.id for row in seen} == {token.id, own.id}
        assert {selectors.token_state(row, now=datetime.now(UTC)) for row in seen} == {TokenState.ORPHANED}
    assert not is_good(secret)
    with scope.organization(acme.id):
        services.token_adopt(grant=as_person(admin), token_id=token.id)
        with pytest.raises(errors.InvalidTransition):
            services.token_adopt(grant=as_person(admin), token_id=own.id)
    assert authentication.authenticate_bearer(secret).scopes == {Scope.RUNS_READ}, "clamped to its new holder"


def test_tokens_are_listed_by_kind_state_and_holder(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    owner, other = make_member(acme, Role.ORG_OWNER), make_member(acme, Role.PROJECT_OPERATOR)
    active, _ = make_token(owner)
    revoked, _ = make_token(owner, Scope.RUNS_READ, kind=TokenKind.PLANNER)
    expired, _ = make_token(other)
    with scope.organization(acme.id):
        services.token_revoke(grant=as_person(owner), token_id=revoked.id)
        Token.objects.filter(id=expired.id).update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
        grant = as_person(owner, Scope.TOKENS_READ)

        def listed(**filters: Any) -> list[Token]:
            return selectors.token_page(grant=grant, **filters).items

        assert [row.id for row in listed(state=TokenState.ACTIVE)] == [active.id]
        assert [row.id for row in listed(state=TokenState.REVOKED)] == [revoked.id]
        assert [row.id for row in listed(state=TokenState.EXPIRED)] == [expired.id]
        assert [row.id for row in listed(kind=TokenKind.PLANNER)] == [revoked.id]
        assert [row.id for row in listed(membership_id=other.id)] == [expired.id]
        for row in listed():
            assert selectors.token_state(row, now=datetime.now(UTC)).value in {"active", "revoked", "expired"}
        with CaptureQueriesContext(connection) as queries:
            assert [row.membership.user.email for row in listed() if row.membership]
        assert len(queries) == 1
        with pytest.raises(errors.NotFound):
            selectors.token_get(grant=as_person(other, Scope.TOKENS_READ), token_id=active.id)


def test_a_workspace_administrators_token_reaches_the_workspace_as_a_whole(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    admin = make_member(acme, Role.WORKSPACE_ADMIN, workspace=acme.workspace)
    _, secret = make_token(admin)
    _, narrow = make_token(admin, Scope.RUNS_READ, project_ids=[acme.project.id])
    assert authentication.authenticate_bearer(secret).workspace_id == acme.workspace.id
    assert authentication.authenticate_bearer(narrow).workspace_id is None


@pytest.mark.django_db(transaction=True)
def test_everybody_hears_of_a_revoked_token_once_it_is_committed(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken
) -> None:
    member = make_member(acme, Role.ORG_ADMIN)
    token, _ = make_token(member)
    with psycopg.connect(database_url.url_from_database(settings.DATABASES["default"]), autocommit=True) as hearing:
        hearing.execute(f"LISTEN {revocations.CHANNEL}")
        with scope.organization(acme.id):
            services.token_revoke(grant=as_person(member), token_id=token.id)
        (told,) = hearing.notifies(timeout=60, stop_after=1)
    assert revocations.revocation_read(told.payload) == revocations.Revocation(
        kind=revocations.Revoked.TOKEN, id=token.id
    )


def test_a_word_of_a_newer_release_is_no_error() -> None:
    assert revocations.revocation_read("planet:0190b1f0-0000-7000-8000-000000000000") is None
