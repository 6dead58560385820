"""A person decides a gate in the admin: what the page shows is what the machine has, and what it sends is what it
showed.
"""

import hashlib
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from cloud.audit.models import AuditEvent
from cloud.permissions.roles import Role
from cloud.runs.models import GateSnapshot
from cloud.tenancy import scope
from local_daemon.protocol import envelopes
from tests.integration.cloud.conftest import MakeMember
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site

PATCH = "--- a\n+++ b\n+a line that a person reads\n"
DIGEST = hashlib.sha256(PATCH.encode()).hexdigest()
GATE, STEP, RUN, ARTIFACT = ("gate_" + "0" * 26, "step_" + "0" * 26, "run_" + "0" * 26, "art_" + "0" * 26)
INSTANT = "2026-11-21T08:00:00+00:00"
VIEW = {
    "gate_id": GATE,
    "run_id": RUN,
    "step_id": STEP,
    "kind": "after",
    "state": "open",
    "reason": "The task asks for approval.",
    "digest": DIGEST,
    "opened_at": INSTANT,
    "expires_at": INSTANT,
}


def answering(decided: list[dict[str, Any]], patch: str = PATCH) -> scripted.Answering:
    """A machine with one gate on one patch."""
    artifact = {
        "artifact_id": ARTIFACT, "step_id": STEP, "attempt_id": "att", "kind": "patch", "name": "changes.patch",
        "media_type": "text/x-diff", "size_bytes": len(patch), "sha256": DIGEST, "created_at": INSTANT,
    }  # fmt: skip

    async def answer(connector: scripted.ScriptedConnector, request: envelopes.Request) -> None:
        if request.operation == "artifacts.content":
            await scripted.answer_content(patch.encode())(connector, request)
            return
        body: dict[str, Any] = dict(VIEW)
        if request.operation == "steps.result":
            body = {"run_id": RUN, "step_id": STEP, "state": "waiting", "executor": "patch", "patch": artifact}
        if request.operation == "gates.decide":
            decided.append({"actor": request.actor, **request.body})
            body = {"gate": {**VIEW, "state": "approved"}}
        await connector.send(envelopes.Response(call_id=request.call_id, status=200, body=body))

    return answer


@pytest.fixture
def gate(site: Site) -> GateSnapshot:
    location = _located(site)
    with scope.organization(site.tenant.id):
        return GateSnapshot.objects.create(
            organization_id=site.tenant.id, project_id=site.tenant.project.id, location=location, run_id=RUN,
            as_of=INSTANT, seq=1, view=VIEW, gate_id=GATE, step_id=STEP, kind="after", state="open", digest=DIGEST,
            expires_at=INSTANT,
        )  # fmt: skip


def _located(site: Site) -> Any:
    from cloud.connectors import links, services

    opened = links.link_open(connector_id=site.connector.id, link_owner="earlier")
    (location,) = services.advertise_apply(connector_id=site.connector.id, epoch=opened.epoch, advertised=site.shares)
    links.link_close(site.connector.id, opened.epoch)
    return location


@pytest.fixture
def browser(site: Site, make_member: MakeMember) -> Client:
    client = Client()
    client.force_login(make_member(site.tenant, Role.ORG_OWNER).user)
    return client


def page_of(gate: GateSnapshot) -> str:
    return reverse("admin:runs_gatesnapshot_decide", args=[gate.pk])


async def test_the_page_shows_the_patch_and_an_approval_names_its_digest(
    cloud: Cloud, site: Site, gate: GateSnapshot, browser: Client
) -> None:
    decided: list[dict[str, Any]] = []
    async with cloud.connected(site, answering=answering(decided)):
        shown = await scripted.in_request(lambda: browser.get(page_of(gate)))
        sent = {"decision": "approve", "digest": DIGEST, "comment": "Looks right."}
        answer = await scripted.in_request(lambda: browser.post(page_of(gate), sent))
    assert "a line that a person reads" in shown.content.decode()
    assert DIGEST in shown.content.decode()
    assert answer.status_code == 302, answer.content.decode()[-2000:]
    (made,) = decided
    assert made["digest"] == DIGEST
    assert made["actor"].startswith("user:")

    def told() -> list[str]:
        with scope.organization(site.tenant.id):
            return list(AuditEvent.objects.filter(event_type="gate:decided").values_list("actor_kind", flat=True))

    assert await scripted.in_thread(told) == ["user"]


async def test_what_was_not_shown_cannot_be_approved(
    cloud: Cloud, site: Site, gate: GateSnapshot, browser: Client
) -> None:
    decided: list[dict[str, Any]] = []
    async with cloud.connected(site, answering=answering(decided, patch=PATCH + "+one more\n")):
        shown = await scripted.in_request(lambda: browser.get(page_of(gate)))
        sent = {"decision": "approve", "digest": "0" * 64}
        await scripted.in_request(lambda: browser.post(page_of(gate), sent))
    assert "one more" not in shown.content.decode()
    assert decided == []


async def test_where_the_machine_is_away_nothing_can_be_decided(
    cloud: Cloud, site: Site, gate: GateSnapshot, browser: Client
) -> None:
    page = await scripted.in_request(lambda: browser.get(page_of(gate)))
    assert page.status_code == 200
    assert "Approve" not in page.content.decode()


async def test_another_tenants_gate_does_not_exist(
    cloud: Cloud, site: Site, other_site: Site, gate: GateSnapshot, make_member: MakeMember
) -> None:
    stranger = Client()
    member = await scripted.in_thread(lambda: make_member(other_site.tenant, Role.ORG_OWNER))
    await scripted.in_thread(lambda: stranger.force_login(member.user))
    page = await scripted.in_request(lambda: stranger.get(page_of(gate)))
    assert page.status_code == 404
