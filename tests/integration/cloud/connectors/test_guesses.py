"""Claim codes cannot be searched for: wrong ones are counted by person, and after some nobody is told anything."""

from datetime import timedelta

import pytest

from cloud.access import authentication, authorization, selectors
from cloud.access.principals import Grant, system_principal
from cloud.connectors import enrollment, guesses
from cloud.connectors.models import ClaimGuesses, Connector
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from cloud.tenancy.models import Membership
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def member(acme: Tenant, make_member: MakeMember) -> Membership:
    return make_member(acme, Role.ORG_ADMIN)


def as_person(member: Membership) -> Grant:
    principal = selectors.user_principal(member.user, organization_id=member.organization_id)
    return authorization.authorize(principal, Scope.CONNECTORS_WRITE)


def waiting() -> str:
    _, code = enrollment.connector_register_pending(**Machine().register_request())
    return code


def guess(grant: Grant, *, times: int) -> None:
    for number in range(times):
        with pytest.raises(errors.NotFound):
            enrollment.pending_find(grant=grant, claim_code=f"AAAA-{number:04}")


def test_after_too_many_wrong_codes_the_right_one_is_refused_too(acme: Tenant, member: Membership) -> None:
    code = waiting()
    with scope.organization(acme.id):
        grant = as_person(member)
        guess(grant, times=guesses.WRONG_MAX)
        for ask in (enrollment.pending_find, enrollment.connector_claim):
            with pytest.raises(errors.RateLimited) as refused:
                ask(grant=grant, claim_code=code)
            assert 0 < (refused.value.retry_after_s or 0) <= guesses.WINDOW.total_seconds()
        assert not Connector.objects.exists()


def test_wrong_codes_of_a_claim_count_too(acme: Tenant, member: Membership) -> None:
    with scope.organization(acme.id):
        grant = as_person(member)
        for _ in range(guesses.WRONG_MAX):
            with pytest.raises(errors.NotFound):
                enrollment.connector_claim(grant=grant, claim_code="AAAA-0000")
        with pytest.raises(errors.RateLimited):
            enrollment.pending_find(grant=grant, claim_code="AAAA-0000")


def test_right_codes_are_not_counted(acme: Tenant, member: Membership) -> None:
    code = waiting()
    with scope.organization(acme.id):
        grant = as_person(member)
        for _ in range(2 * guesses.WRONG_MAX):
            assert enrollment.pending_find(grant=grant, claim_code=code).label == "laptop"
        enrollment.connector_claim(grant=grant, claim_code=code)
        assert ClaimGuesses.objects.get().wrong == 0


def test_it_ends_by_time_and_guessing_on_does_not_make_it_longer(acme: Tenant, member: Membership) -> None:
    code = waiting()
    with scope.organization(acme.id):
        grant = as_person(member)
        guess(grant, times=guesses.WRONG_MAX)
        ends_at = ClaimGuesses.objects.get().ends_at
        with pytest.raises(errors.RateLimited):
            enrollment.pending_find(grant=grant, claim_code="AAAA-0000")
        assert ClaimGuesses.objects.get().ends_at == ends_at
        ClaimGuesses.objects.update(ends_at=ends_at - guesses.WINDOW - timedelta(seconds=1))
        assert enrollment.pending_find(grant=grant, claim_code=code).label == "laptop"


def test_another_token_of_the_same_person_begins_nothing_anew(
    acme: Tenant, member: Membership, make_token: MakeToken
) -> None:
    _, secret = make_token(member)
    token = authentication.authenticate_bearer(secret)
    with scope.organization(acme.id):
        guess(as_person(member), times=guesses.WRONG_MAX)
        with pytest.raises(errors.RateLimited):
            enrollment.pending_find(
                grant=authorization.authorize(token, Scope.CONNECTORS_WRITE), claim_code="AAAA-0000"
            )


def test_other_people_and_the_installation_are_not_held_up(
    acme: Tenant, member: Membership, make_member: MakeMember
) -> None:
    other = make_member(acme, Role.ORG_OWNER)
    with scope.organization(acme.id):
        guess(as_person(member), times=guesses.WRONG_MAX)
        guess(as_person(other), times=1)
        installation = system_principal(acme.id, label="cloudctl")
        guess(authorization.authorize(installation, Scope.CONNECTORS_WRITE), times=guesses.WRONG_MAX + 1)
