"""What an admin does on pages: through services, in their name, audited; and what two of them do at once."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from cloud.access.models import Token
from cloud.accounts.models import User
from cloud.audit.models import AuditEvent
from cloud.connectors import links, services
from cloud.connectors.models import Connector, EnrollmentCode, Location
from cloud.console import minting
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from cloud.tenancy.models import Invitation, Membership, Project
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.console.conftest import SignIn
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def secret_of(page: Any) -> str:
    text = page.content.decode()
    found = re.search(r'<code id="secret">([^<]+)</code>', text)
    assert found, text[-3000:]
    return found[1]


def audited(tenant: Tenant) -> set[str]:
    with scope.organization(tenant.id):
        told = AuditEvent.objects.filter(actor_kind="user").exclude(event_type="user:signed_in")
        return set(told.values_list("event_type", flat=True))


def act(browser: Client, page: str, /, *keys: Any, **given: Any) -> Any:
    return browser.post(reverse(f"admin:{page}", args=keys), given, follow=True)


def test_a_token_is_minted_told_once_rotated_and_revoked(acme: Tenant, sign_in: SignIn) -> None:
    browser = sign_in(acme)
    asked = {"name": "planner", "kind": "planner", "days": "30", "scopes": ["runs:read", "runs:write"]}
    page = act(browser, "access_token_mint", **asked)
    assert "no-store" in page.headers["Cache-Control"]
    secret = secret_of(page)
    with scope.organization(acme.id):
        token = Token.objects.get()
    assert secret.startswith(token.prefix)
    assert token.scopes == ["runs:read", "runs:write"]
    shown = browser.get(reverse("admin:access_token_change", args=[token.pk])).content.decode()
    assert secret not in shown
    rotated = secret_of(act(browser, "access_token_rotate", token.pk, hours="24"))
    assert rotated != secret
    act(browser, "access_token_revoke", token.pk)
    with scope.organization(acme.id):
        assert Token.objects.get(pk=token.pk).revoked_at is not None
    assert audited(acme) == {"token:minted", "token:rotated", "token:revoked"}


def test_a_planners_token_that_would_administer_is_refused_beside_the_form(acme: Tenant, sign_in: SignIn) -> None:
    page = act(sign_in(acme), "access_token_mint", name="x", kind="planner", days="", scopes=["members:write"])
    assert "A planner administers nothing." in page.content.decode()
    with scope.organization(acme.id):
        assert not Token.objects.exists()


def test_somebody_is_invited_by_a_link_that_works_once(acme: Tenant, sign_in: SignIn) -> None:
    owner = sign_in(acme)
    asked = {"email": "new@example.com", "role": "project_operator", "workspace": "", "days": "7"}
    link = secret_of(act(owner, "tenancy_membership_invite", **asked))
    path = link.removeprefix("http://testserver")
    newcomer = Client()
    assert "Acme" in newcomer.get(path).content.decode()
    weak = newcomer.post(path, {"full_name": "New", "password": "password"}).content.decode()
    assert "too weak" in weak
    newcomer.post(path, {"full_name": "New", "password": "a long enough phrase"})
    with scope.organization(acme.id):
        member = Membership.objects.get(user__email="new@example.com")
        assert (member.role, Invitation.objects.get().accepted_at is not None) == ("project_operator", True)
    assert newcomer.get(reverse("admin:runs_runsnapshot_changelist")).status_code == 200
    assert Client().get(path).status_code == 404


def test_a_link_for_another_address_is_not_mine_to_accept(acme: Tenant, globex: Tenant, sign_in: SignIn) -> None:
    asked = {"email": "new@example.com", "role": "org_admin", "workspace": "", "days": "7"}
    link = secret_of(act(sign_in(acme), "tenancy_membership_invite", **asked))
    stranger = sign_in(globex)
    path = link.removeprefix("http://testserver")
    offered = stranger.get(path).content.decode()
    assert "this invitation is for another address" in offered
    assert f'action="{reverse("admin:logout")}"' in offered
    page = stranger.post(path)
    assert "Sign in with the address that was invited." in page.content.decode()
    with scope.organization(acme.id):
        assert Membership.objects.count() == 1
    out = stranger.post(reverse("admin:logout"), {"next": path})
    assert out.headers["Location"] == path
    assert "Make an account for this address" in stranger.get(path).content.decode()


def test_the_last_owner_stays(acme: Tenant, sign_in: SignIn) -> None:
    browser = sign_in(acme)
    with scope.organization(acme.id):
        own = Membership.objects.get()
    for page in (
        act(browser, "tenancy_membership_remove", own.pk, version=own.version),
        act(browser, "tenancy_membership_change_post", own.pk, version=own.version, role="project_viewer"),
    ):
        assert "keeps an owner" in page.content.decode()
    with scope.organization(acme.id):
        assert Membership.objects.get().role == "org_owner"


def test_of_two_who_change_a_member_at_once_the_second_is_told(
    acme: Tenant, sign_in: SignIn, make_member: Callable[..., Membership]
) -> None:
    browser = sign_in(acme)
    other = make_member(acme, Role.PROJECT_VIEWER)
    shown = browser.get(reverse("admin:tenancy_membership_change_post", args=[other.pk])).content.decode()
    assert f'name="version" value="{other.version}"' in shown
    first = act(browser, "tenancy_membership_change_post", other.pk, version=other.version, role="project_operator")
    assert "is project_operator now" in first.content.decode()
    second = act(browser, "tenancy_membership_change_post", other.pk, version=other.version, role="org_admin")
    assert "Somebody changed this while you looked at it" in second.content.decode()
    with scope.organization(acme.id):
        assert Membership.objects.get(pk=other.pk).role == "project_operator"


def test_nobody_is_offered_a_role_beyond_their_own(acme: Tenant, sign_in: SignIn) -> None:
    page = sign_in(acme, Role.ORG_ADMIN).get(reverse("admin:tenancy_membership_invite")).content.decode()
    assert 'value="org_admin"' in page
    assert 'value="org_owner"' not in page


def test_a_machine_is_renamed_shut_out_moved_and_let_go(
    acme: Tenant, sign_in: SignIn, make_connector: Callable[..., Connector]
) -> None:
    browser, machine = sign_in(acme), make_connector(acme)
    act(browser, "connectors_connector_rename", machine.pk, version="1", label="the big one")
    stale = act(browser, "connectors_connector_switch", machine.pk, version="1")
    assert "Somebody changed this" in stale.content.decode()
    act(browser, "connectors_connector_switch", machine.pk, version="2")
    with scope.organization(acme.id):
        found = Connector.objects.get()
        assert (found.label, found.status) == ("the big one", "disabled")
    act(browser, "tenancy_project_make", name="Another", workspace=str(acme.workspace.pk))
    with scope.organization(acme.id):
        another = Project.objects.get(name="Another")
    for name, given in (("transfer", {"project": str(another.pk)}), ("release", {})):
        shown = browser.get(reverse(f"admin:connectors_connector_{name}", args=[machine.pk])).content.decode()
        with scope.organization(acme.id):
            now = Connector.objects.get().version
        assert f'name="version" value="{now}"' in shown
        stale = act(browser, f"connectors_connector_{name}", machine.pk, version=now - 1, **given)
        assert "Somebody changed this" in stale.content.decode()
        act(browser, f"connectors_connector_{name}", machine.pk, version=now, **given)
    with scope.organization(acme.id):
        assert Connector.objects.get().released_at is not None
    assert audited(acme) == {
        "connector:updated", "connector:disabled", "project:created", "connector:transferred", "connector:released",
    }  # fmt: skip


def test_a_repository_is_mapped_to_a_project_and_to_none(
    acme: Tenant, sign_in: SignIn, make_connector: Callable[..., Connector]
) -> None:
    machine = Machine()
    connector = make_connector(acme, machine)
    link = links.link_open(connector_id=connector.id, link_owner="process-1")
    (place,) = services.advertise_apply(
        connector_id=connector.id, epoch=link.epoch, advertised=machine.advertisement("website")
    )
    browser = sign_in(acme)
    for wanted in (None, acme.project.pk):
        act(browser, "connectors_location_map_project", place.pk, project=str(wanted or ""))
        with scope.organization(acme.id):
            assert Location.objects.get().project_id == wanted


def test_an_enrollment_code_is_revoked(acme: Tenant, sign_in: SignIn, make_code: Callable[..., str]) -> None:
    make_code(acme)
    with scope.organization(acme.id):
        code = EnrollmentCode.objects.get()
    act(sign_in(acme), "connectors_enrollmentcode_revoke", code.pk)
    with scope.organization(acme.id):
        assert EnrollmentCode.objects.get().revoked_at is not None


@pytest.mark.parametrize("word", ["suspend", "delete_later"])
def test_a_project_is_taken_out_of_use_and_back(acme: Tenant, sign_in: SignIn, word: str) -> None:
    browser = sign_in(acme)
    for name, status in ((word, {"suspend": "suspended", "delete_later": "deleting"}[word]), ("resume", "active")):
        with scope.organization(acme.id):
            version = Project.objects.get().version
        act(browser, f"tenancy_project_{name}", acme.project.pk, version=version, name=acme.project.name)
        with scope.organization(acme.id):
            assert Project.objects.get().status == status


def test_a_viewer_is_refused_every_act(acme: Tenant, sign_in: SignIn, make_connector: Callable[..., Connector]) -> None:
    machine, browser = make_connector(acme), sign_in(acme, Role.PROJECT_VIEWER)
    for name in ("rename", "switch", "transfer", "release"):
        assert act(browser, f"connectors_connector_{name}", machine.pk, version="1").status_code == 403
    for name in ("access_token_mint", "tenancy_membership_invite", "tenancy_project_make"):
        assert act(browser, name).status_code == 403


def test_an_operator_acts_in_the_organization_of_the_row(
    acme: Tenant, sign_in: SignIn, make_connector: Callable[..., Connector]
) -> None:
    machine = make_connector(acme)
    act(sign_in(), "connectors_connector_rename", machine.pk, version="1", label="seen from above")
    with scope.organization(acme.id):
        assert AuditEvent.objects.get(event_type="connector:updated").actor_id == str(User.objects.get().pk)


def test_what_is_not_called_by_its_name_is_not_deleted(acme: Tenant, sign_in: SignIn) -> None:
    browser = sign_in(acme)
    shown = browser.get(reverse("admin:tenancy_project_delete_later", args=[acme.project.pk])).content.decode()
    assert "Type its name: Acme project" in shown
    for typed in ("", "acme project", "Acme"):
        page = act(browser, "tenancy_project_delete_later", acme.project.pk, version="1", name=typed)
        assert page.status_code == 200
    with scope.organization(acme.id):
        assert Project.objects.get().status == "active"


def test_suspending_an_organization_says_who_can_resume_it(acme: Tenant, sign_in: SignIn) -> None:
    browser = sign_in(acme)
    for name in ("suspend", "delete_later"):
        page = browser.get(reverse(f"admin:tenancy_organization_{name}", args=[acme.id])).content.decode()
        assert "only an operator of this installation can resume it" in page
    other = browser.get(reverse("admin:tenancy_project_suspend", args=[acme.project.pk])).content.decode()
    assert "only an operator" not in other


def test_minting_says_what_each_scope_is_for_and_ticks_what_a_planner_needs(acme: Tenant, sign_in: SignIn) -> None:
    page = sign_in(acme).get(reverse("admin:access_token_mint"))
    assert "gates:decide: take decisions" in page.content.decode()
    assert set(page.context["form"]["scopes"].value()) == {
        "projects:read", "runs:read", "runs:write", "steps:read", "steps:write", "gates:read", "artifacts:read",
    }  # fmt: skip


def test_every_scope_has_words() -> None:
    assert set(minting.WORDS) == set(Scope)
