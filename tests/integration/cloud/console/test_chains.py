"""Every chain of the audit is to be seen by the installation's operators, also of organizations that are gone."""

from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from cloud.audit import seal
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.audit.installation import INSTALLATION
from cloud.console import chains
from cloud.tenancy import scope
from local_daemon.protocol import ids
from tests.integration.cloud.console.conftest import SignIn
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

PAGE = "/admin/audit/auditevent/chains/"


def chain_make(chain_id: UUID, *, slug: str = "") -> None:
    """A chain of two links; its organization, if there is any, is not asked."""
    with scope.organization(chain_id):
        for event_type in (EventType.ORGANIZATION_CREATED, EventType.ORGANIZATION_PURGED):
            audit.event_record(
                event_type=event_type,
                principal=None,
                organization_id=chain_id,
                target_kind="organization",
                target_id=chain_id,
                details={"slug": slug},
            )
        seal.organization_seal_all(chain_id)


@pytest.fixture
def gone() -> UUID:
    """The chain of an organization that was purged."""
    chain_id = ids.new_uuid7()
    chain_make(chain_id, slug="initech")
    return chain_id


def shown(browser: Client) -> dict[UUID, tuple[str, str, int]]:
    rows = browser.get(PAGE).context["chains"]
    return {row.head.id: (row.name, row.standing, row.head.seq) for row in rows}


def test_an_operator_sees_the_chain_of_the_living_the_gone_and_the_installation(
    acme: Tenant, gone: UUID, sign_in: SignIn
) -> None:
    with scope.organization(acme.id):
        sealed = seal.organization_seal_all(acme.id)
    chain_make(INSTALLATION)
    assert shown(sign_in()) == {
        acme.id: ("Acme", "active", sealed),
        gone: ("initech", "purged", 2),
        INSTALLATION: ("(installation)", "installation", 2),
    }


@pytest.mark.parametrize("name", ["audit_auditevent", "audit_auditseal", "audit_auditcheckpoint"])
def test_an_operators_lists_hold_what_is_left_of_who_is_gone(
    acme: Tenant, gone: UUID, sign_in: SignIn, name: str
) -> None:
    with scope.organization(acme.id):
        seal.organization_seal_all(acme.id)
    browser, path = sign_in(), reverse(f"admin:{name}_changelist")
    everything = browser.get(path, {"period": "any"})
    assert {row.organization_id for row in everything.context["cl"].result_list} >= {acme.id, gone}
    assert f"purged …{str(gone)[-8:]}" in everything.content.decode()
    of_one = browser.get(path, {"period": "any", "chain": str(gone)}).context["cl"].result_list
    assert {row.organization_id for row in of_one} == {gone}
    one = browser.get(reverse(f"admin:{name}_change", args=[of_one[0].pk]))
    assert f"purged …{str(gone)[-8:]}" in one.content.decode()


def test_nobody_else_sees_chains_or_chooses_one(acme: Tenant, globex: Tenant, sign_in: SignIn) -> None:
    owner = sign_in(acme)
    assert owner.get(PAGE).status_code == 403
    assert "Chains" not in owner.get(reverse("admin:audit_auditevent_changelist")).content.decode()
    rows = owner.get(reverse("admin:audit_auditevent_changelist"), {"chain": str(globex.id)}).context["cl"].result_list
    assert {row.organization_id for row in rows} == {acme.id}


def test_more_chains_take_no_more_queries_and_more_pages(
    gone: UUID, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "SHOWN_ROWS", 3)
    browser = sign_in()

    def queries(page: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert browser.get(PAGE, {"page": page}).status_code == 200
        return len(seen)

    few = queries("1")
    for _ in range(3):
        chain_make(ids.new_uuid7())
    assert queries("1") == queries("2") == few
    # The installation's own is the fifth.
    assert len(browser.get(PAGE, {"page": "2"}).context["chains"]) == 2


def test_what_is_no_chain_chooses_nothing(acme: Tenant, sign_in: SignIn) -> None:
    answer = sign_in().get(reverse("admin:audit_auditevent_changelist"), {"chain": "nonsense\x00"})
    assert answer.status_code == 200
    assert answer.context["cl"].result_count > 0
