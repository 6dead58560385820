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


def answering(decided: list[dict[str, Any]], patch: str | bytes = PATCH, *, digest: str = DIGEST) -> scripted.Answering:
    """A machine with one gate on one patch, which it says has that digest."""
    raw = patch.encode() if isinstance(patch, str) else patch
    view = {**VIEW, "digest": digest}
    artifact = {
        "artifact_id": ARTIFACT, "step_id": STEP, "attempt_id": "att", "kind": "patch", "name": "changes.patch",
        "media_type": "text/x-diff", "size_bytes": len(raw), "sha256": digest, "created_at": INSTANT,
    }  # fmt: skip

    async def answer(connector: scripted.ScriptedConnector, request: envelopes.Request) -> None:
        if request.operation == "artifacts.content":
            await scripted.answer_content(raw)(connector, request)
            return
        body: dict[str, Any] = dict(view)
        if request.operation == "steps.result":
            body = {"run_id": RUN, "step_id": STEP, "state": "waiting", "executor": "patch", "patch": artifact}
        if request.operation == "gates.decide":
            decided.append({"actor": request.actor, **request.body})
            body = {"gate": {**view, "state": "approved"}}
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


BYTES = b"--- a\n+++ b\n@@ -0,0 +1 @@\n+caf\xe9 <b>\n"


async def test_a_patch_that_is_no_text_is_shown_escaped_and_approved_by_its_own_digest(
    cloud: Cloud, site: Site, gate: GateSnapshot, browser: Client
) -> None:
    decided: list[dict[str, Any]] = []
    digest = hashlib.sha256(BYTES).hexdigest()
    async with cloud.connected(site, answering=answering(decided, BYTES, digest=digest)):
        shown = await scripted.in_request(lambda: browser.get(page_of(gate)))
        sent = {"decision": "approve", "digest": digest}
        await scripted.in_request(lambda: browser.post(page_of(gate), sent))
    page = shown.content.decode()
    assert "caf⟨0xE9⟩ &lt;b&gt;" in page
    assert "Approve exactly this" in page
    assert [made["digest"] for made in decided] == [digest]


async def test_a_patch_that_is_no_text_and_not_what_the_gate_binds_cannot_be_approved(
    cloud: Cloud, site: Site, gate: GateSnapshot, browser: Client
) -> None:
    decided: list[dict[str, Any]] = []
    async with cloud.connected(site, answering=answering(decided, BYTES)):
        shown = await scripted.in_request(lambda: browser.get(page_of(gate)))
        await scripted.in_request(lambda: browser.post(page_of(gate), {"decision": "approve", "digest": DIGEST}))
    assert "Approve exactly this" not in shown.content.decode()
    assert decided == []


async def test_a_patch_that_is_too_long_names_the_commands_that_show_and_approve_it(
    cloud: Cloud, site: Site, gate: GateSnapshot, browser: Client
) -> None:
    long = "--- a\n+++ b\n@@ -0,0 +1,9000 @@\n" + "+a line\n" * 9000
    digest = hashlib.sha256(long.encode()).hexdigest()
    async with cloud.connected(site, answering=answering([], long, digest=digest)):
        shown = await scripted.in_request(lambda: browser.get(page_of(gate)))
    page = shown.content.decode()
    assert "Approve exactly this" not in page
    slug = site.tenant.organization.slug
    assert f"cloudctl gate patch --organization {slug} {GATE} | less" in page
    assert f"cloudctl gate approve --organization {slug} {GATE} --digest {digest}" in page


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
