"""Whose address the audit tells: the one who asked, through whom the installation trusts, for every kind of event.

That every application is told the same address is tried in tests/integration/cloud/config/test_mounts.py."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from cloud.audit import origin
from cloud.audit.models import AuditEvent
from cloud.config import client_address
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site

ASKER = "203.0.113.5"


def addresses(site: Site, event_type: str, actor_kind: str) -> set[str | None]:
    with scope.organization(site.tenant.id):
        rows = AuditEvent.objects.filter(event_type=event_type, actor_kind=actor_kind)
        return set(rows.values_list("client_address", flat=True))


def test_what_is_changed_is_told_with_who_asked_whichever_service_tells_it(site: Site, make_member: MakeMember) -> None:
    browser = Client()
    browser.force_login(make_member(site.tenant, Role.ORG_OWNER).user)
    with origin.asked_from(ASKER):
        browser.post(reverse("admin:tenancy_workspace_make"), {"name": "elsewhere"})
        browser.post(
            reverse("admin:access_token_mint"), {"name": "x", "kind": "planner", "days": "1", "scopes": ["runs:read"]}
        )
    assert addresses(site, "workspace:created", "user") == {ASKER}
    assert addresses(site, "token:minted", "user") >= {ASKER}


@pytest.mark.parametrize(("trusted", "told"), [("", "127.0.0.1"), ("127.0.0.0/8", ASKER)])
async def test_a_call_is_told_with_who_asked_and_so_is_its_answer(
    settings: Any, cloud: Cloud, site: Site, trusted: str, told: str
) -> None:
    settings.TRUSTED_PROXIES = client_address.networks_parse(trusted)
    async with cloud.connected(site), cloud.planner(site) as planner:
        await planner.get("/runs", headers={"X-Forwarded-For": f"198.51.100.99, {ASKER}"})
    for event_type in ("call:accepted", "call:answered"):
        assert await scripted.in_thread(lambda wanted=event_type: addresses(site, wanted, "token")) == {told}


async def test_who_may_not_see_the_projects_is_told_with_their_address(
    cloud: Cloud, site: Site, make_member: MakeMember, make_token: MakeToken
) -> None:
    _, token = await scripted.in_thread(lambda: make_token(make_member(site.tenant, Role.ORG_OWNER), Scope.RUNS_READ))
    async with cloud.planner(site) as planner:
        headers = {"Authorization": f"Bearer {token}"}
        assert (await planner.get(f"{cloud.url}/api/v2/projects", headers=headers)).status_code == 403
    assert await scripted.in_thread(lambda: addresses(site, "call:denied", "token")) == {"127.0.0.1"}
