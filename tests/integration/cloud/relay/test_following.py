"""A step's page and what only its machine has: asked for once for each thing that happens, and followed to its end."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from cloud.connectors import links, services
from cloud.connectors.models import Connector, Location
from cloud.console import evidence
from cloud.permissions.roles import Role
from cloud.runs.models import RunEvent, RunSnapshot, StepSnapshot
from cloud.tenancy import scope
from cloud.tenancy.models import Status
from local_daemon.protocol import envelopes, errors
from tests.integration.cloud.conftest import MakeMember
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site

RUN, STEP, ATTEMPT, ARTIFACT = ("run_" + "0" * 26, "step_" + "0" * 26, "att_" + "0" * 26, "art_" + "0" * 26)
INSTANT = "2026-11-21T08:00:00+00:00"
PATCH = b"--- a\n+++ b\n@@ -0,0 +1 @@\n+made here\n"
SAID = "first words\n"


class Machine:
    """A machine with one step at work; it remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.queries: list[dict[str, Any]] = []
        self.refusal: errors.RopewayError | None = None

    async def answer(self, connector: scripted.ScriptedConnector, request: envelopes.Request) -> None:
        self.asked[request.operation] += 1
        if self.refusal is not None:
            await scripted.answer_error(self.refusal)(connector, request)
            return
        if request.operation == "artifacts.content":
            await scripted.answer_content(PATCH)(connector, request)
            return
        body: dict[str, Any] = {}
        if request.operation == "attempts.list":
            attempt = {
                "attempt_id": ATTEMPT, "step_id": STEP, "number": 1, "state": "running", "executor": "codex",
                "leased_at": INSTANT,
            }  # fmt: skip
            body = {"items": [attempt], "next_cursor": None}
        elif request.operation == "steps.result":
            patch = {
                "artifact_id": ARTIFACT, "step_id": STEP, "attempt_id": ATTEMPT, "kind": "patch",
                "name": "changes.patch", "media_type": "text/x-diff", "size_bytes": len(PATCH), "sha256": "0" * 64,
                "created_at": INSTANT,
            }  # fmt: skip
            body = {"run_id": RUN, "step_id": STEP, "state": "running", "executor": "codex", "patch": patch}
        elif request.operation == "steps.log":
            self.queries.append(dict(request.query))
            offset = int(request.query.get("offset", 0))
            body = {
                "stream": "stdout", "attempt_id": ATTEMPT, "offset": offset, "next_offset": len(SAID),
                "size_bytes": len(SAID), "is_complete": offset > 0, "text": SAID[offset:],
            }  # fmt: skip
        await connector.send(envelopes.Response(call_id=request.call_id, status=200, body=body))


@pytest.fixture
def machine() -> Iterator[Machine]:
    evidence.shelf.clear()
    yield Machine()
    evidence.shelf.clear()


@pytest.fixture
def step(site: Site) -> StepSnapshot:
    opened = links.link_open(connector_id=site.connector.id, link_owner="earlier")
    (location,) = services.advertise_apply(connector_id=site.connector.id, epoch=opened.epoch, advertised=site.shares)
    links.link_close(site.connector.id, opened.epoch)
    facts: dict[str, Any] = {
        "organization_id": site.tenant.id, "project_id": site.tenant.project.id, "location": location, "run_id": RUN,
        "as_of": INSTANT, "seq": 1,
    }  # fmt: skip
    with scope.organization(site.tenant.id):
        RunSnapshot.objects.create(**facts, state="open", view={"objective": "Mend it."})
        return StepSnapshot.objects.create(
            **facts, step_id=STEP, state="running", executor="codex", title="the step", view={"attempts": 1}
        )


def moved(step: StepSnapshot, seq: int) -> None:
    """Something happened to the step."""
    with scope.organization(step.organization_id):
        RunEvent.objects.create(
            organization_id=step.organization_id, project_id=step.project_id, location_id=step.location_id,
            log_id="log_" + "0" * 26, seq=seq, event_type="artifact.recorded", at=datetime.now(UTC), run_id=RUN,
            step_id=STEP, record={},
        )  # fmt: skip


@pytest.fixture
def browser(site: Site, make_member: MakeMember) -> Client:
    return signed_in(site, make_member, Role.ORG_OWNER)


def signed_in(site: Site, make_member: MakeMember, role: Role) -> Client:
    client = Client()
    client.force_login(make_member(site.tenant, role).user)
    return client


def page_of(step: StepSnapshot, name: str = "change") -> str:
    return reverse(f"admin:runs_stepsnapshot_{name}", args=[step.pk])


async def test_a_page_that_is_drawn_again_asks_the_machine_only_for_what_can_have_moved(
    cloud: Cloud, site: Site, step: StepSnapshot, browser: Client, machine: Machine
) -> None:
    async with cloud.connected(site, answering=machine.answer):
        first = await scripted.in_request(lambda: browser.get(page_of(step)))
        assert machine.asked == {"attempts.list": 1, "steps.result": 1, "steps.log": 1, "artifacts.content": 1}
        again = await scripted.in_request(lambda: browser.get(page_of(step)))
        assert machine.asked.total() == 4
        await scripted.in_thread(lambda: moved(step, 2))
        await scripted.in_request(lambda: browser.get(page_of(step)))
    assert machine.asked == {"attempts.list": 2, "steps.result": 2, "steps.log": 1, "artifacts.content": 1}
    for page in (first, again):
        assert "made here" in page.content.decode()
        assert "first words" in page.content.decode()


async def test_what_one_viewer_was_answered_is_shown_to_no_other(
    cloud: Cloud, site: Site, step: StepSnapshot, browser: Client, machine: Machine, make_member: MakeMember
) -> None:
    other = await scripted.in_thread(lambda: signed_in(site, make_member, Role.PROJECT_VIEWER))
    async with cloud.connected(site, answering=machine.answer):
        for viewer in (browser, other):
            await scripted.in_request(lambda viewer=viewer: viewer.get(page_of(step)))
    assert machine.asked["attempts.list"] == 2


@pytest.mark.parametrize("end", ["disabled", "unshared"])
async def test_what_a_machine_said_is_not_shown_once_it_may_not_be_asked(
    cloud: Cloud, site: Site, step: StepSnapshot, browser: Client, machine: Machine, end: str
) -> None:
    def shut_out() -> None:
        with scope.organization(site.tenant.id):
            if end == "disabled":
                Connector.objects.update(status=Status.DISABLED)
            else:
                Location.objects.update(is_shared=False)

    async with cloud.connected(site, answering=machine.answer):
        first = await scripted.in_request(lambda: browser.get(page_of(step)))
        await scripted.in_thread(shut_out)
        after = await scripted.in_request(lambda: browser.get(page_of(step)))
    assert "made here" in first.content.decode()
    assert "made here" not in after.content.decode()
    assert "What only the machine has is not shown" in after.content.decode()


async def test_a_refusal_is_not_kept(
    cloud: Cloud, site: Site, step: StepSnapshot, browser: Client, machine: Machine
) -> None:
    away = await scripted.in_request(lambda: browser.get(page_of(step)))
    assert "What only the machine has is not shown" in away.content.decode()
    async with cloud.connected(site, answering=machine.answer):
        there = await scripted.in_request(lambda: browser.get(page_of(step)))
    assert "made here" in there.content.decode()


async def test_a_tail_begins_at_the_end_and_goes_on_where_the_page_stands(
    cloud: Cloud, site: Site, step: StepSnapshot, browser: Client, machine: Machine
) -> None:
    async with cloud.connected(site, answering=machine.answer):
        begun = await scripted.in_request(lambda: browser.get(page_of(step, "tail")))
        told = begun.json()
        asked = {"attempt": told["attempt_id"], "offset": told["next_offset"]}
        ended = await scripted.in_request(lambda: browser.get(page_of(step, "tail"), asked))
    assert (told["text"], told["is_complete"]) == (SAID, False)
    assert "no-store" in begun.headers["Cache-Control"]
    assert ended.json()["is_complete"] is True
    assert "wait_s" not in machine.queries[0]
    assert machine.queries[1]["offset"] == len(SAID)
    assert machine.queries[1]["attempt_id"] == ATTEMPT
    # The machine holds the answer back for that long: the page asks no more often.
    assert machine.queries[1]["wait_s"] == evidence.WAIT_S


async def test_a_tail_says_why_there_is_none(
    cloud: Cloud, site: Site, step: StepSnapshot, browser: Client, machine: Machine
) -> None:
    away = await scripted.in_request(lambda: browser.get(page_of(step, "tail")))
    assert (away.status_code, away.json()["retryable"]) == (503, True)
    machine.refusal = errors.Expired("It was let go.")
    async with cloud.connected(site, answering=machine.answer):
        gone = await scripted.in_request(lambda: browser.get(page_of(step, "tail")))
    assert (gone.status_code, gone.json()) == (410, {"detail": "It was let go.", "retryable": False})
    for asked in ({"offset": "-1"}, {"offset": "9" * 30}, {"attempt": "x", "offset": "1"}):
        wrong = await scripted.in_request(lambda asked=asked: browser.get(page_of(step, "tail"), asked))
        assert wrong.status_code == 400


MARKUP = "'\"></pre><img src=x onerror=alert(1)>"
NAMED = 'a"\r\nSet-Cookie: stolen=1\r\n\r\n../é.html'


async def told_by_hostile(connector: scripted.ScriptedConnector, request: envelopes.Request) -> None:
    """What a machine may say whose operator, or executor, means ill."""
    named = {"step_id": STEP, "attempt_id": ATTEMPT}
    artifact = {
        **named, "artifact_id": "a/b", "kind": MARKUP, "name": MARKUP, "media_type": "text/html", "size_bytes": 1,
        "sha256": MARKUP, "created_at": INSTANT,
    }  # fmt: skip
    failure = {"kind": "executor", "detail": MARKUP, "retryable": False}
    bodies: dict[str, dict[str, Any]] = {
        "attempts.list": {
            "items": [
                {
                    **named, "number": 1, "state": "recorded", "executor": MARKUP, "leased_at": INSTANT,
                    "failure": failure, "summary": MARKUP, "usage": {"model": MARKUP},
                }
            ],
            "next_cursor": None,
        },
        "steps.result": {
            "run_id": RUN, **named, "state": "failed", "executor": MARKUP, "failure": failure, "summary": MARKUP,
            "artifacts": [artifact],
            "validations": [
                {
                    **named, "validation_id": "v", "name": MARKUP, "command": MARKUP, "verdict": "failed",
                    "duration_ms": 1,
                }
            ],
        },
        "steps.log": {
            "stream": "stdout", "attempt_id": MARKUP, "offset": 0, "next_offset": 9, "size_bytes": 9,
            "is_complete": True, "text": f"\x1b]0;title\x07{MARKUP}",
        },
        "artifacts.get": {**artifact, "artifact_id": ARTIFACT, "name": NAMED},
    }  # fmt: skip
    await connector.send(envelopes.Response(call_id=request.call_id, status=200, body=bodies[request.operation]))


async def test_what_a_machine_says_is_text_and_an_artifacts_name_no_header(
    cloud: Cloud, site: Site, step: StepSnapshot, browser: Client, machine: Machine
) -> None:
    file = reverse("admin:runs_stepsnapshot_artifact", args=[step.pk, ARTIFACT])
    async with cloud.connected(site, answering=told_by_hostile):
        page = await scripted.in_request(lambda: browser.get(page_of(step)))
        tail = await scripted.in_request(lambda: browser.get(page_of(step, "tail")))
        sent = await scripted.in_request(lambda: browser.get(file))
    shown = page.content.decode()
    assert "What only the machine has is not shown" not in shown
    assert shown.count("&lt;img src=x") >= 8
    assert "<img" not in shown
    assert tail.headers["Content-Type"] == "application/json"
    assert tail.headers["X-Content-Type-Options"] == sent.headers["X-Content-Type-Options"] == "nosniff"
    assert sent.headers["Content-Disposition"] == 'attachment; filename="a-Set-Cookie-stolen-1-..-.html"'
    assert sent.headers["Content-Type"] == "application/octet-stream"
    assert "stolen" not in sent.cookies


async def test_the_runs_page_names_the_steps_that_are_at_work(
    cloud: Cloud, site: Site, step: StepSnapshot, browser: Client
) -> None:
    def run_page() -> Any:
        with scope.organization(site.tenant.id):
            run = RunSnapshot.objects.get()
        return browser.get(reverse("admin:runs_runsnapshot_change", args=[run.pk]))

    page = await scripted.in_request(run_page)
    assert f'data-tail-url="{page_of(step, "tail")}"' in page.content.decode()

    def end() -> None:
        with scope.organization(site.tenant.id):
            StepSnapshot.objects.update(state="completed")

    await scripted.in_thread(end)
    page = await scripted.in_request(run_page)
    assert "data-tail-url" not in page.content.decode()


async def test_another_tenants_step_says_nothing(
    cloud: Cloud, site: Site, other_site: Site, step: StepSnapshot, make_member: MakeMember
) -> None:
    stranger = await scripted.in_thread(lambda: signed_in(other_site, make_member, Role.ORG_OWNER))
    page = await scripted.in_request(lambda: stranger.get(page_of(step, "tail")))
    assert page.status_code == 404
