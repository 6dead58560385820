"""/api/cloud/v1 under daphne, in a process of its own: what machines answer, what is streamed, and who is quicker."""

import asyncio
import threading
from collections import Counter
from typing import Any

import httpx
import pytest
from django.db import connection

from cloud.audit import signing, standalone_verifier, verify
from cloud.audit.models import AuditEvent
from cloud.connectors.models import Location
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from local_daemon.protocol import envelopes, errors
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site
from tests.integration.cloud.rest.client import Api
from tests.integration.cloud.rest.places import DIGEST, work_make

API = "/api/cloud/v1"


def planner(cloud: Cloud, token: str) -> httpx.AsyncClient:
    return cloud.client({"Authorization": f"Bearer {token}"}, path=API)


def work(site: Site) -> dict[str, str]:
    """A run and an open gate of the machine's, as last heard of."""
    with scope.organization(site.tenant.id):
        location = Location.objects.select_related("instance__connector").get()
    return work_make(site.tenant, location)


def calls_asked(machine: scripted.ScriptedConnector) -> list[envelopes.Request]:
    return [frame for frame in machine.received if isinstance(frame, envelopes.Request)]


async def test_a_run_is_opened_and_a_gate_decided_by_the_machine(elsewhere: Cloud, site: Site) -> None:
    async with elsewhere.connected(site) as machine, planner(elsewhere, site.token) as api:
        known = await scripted.in_thread(lambda: work(site))
        opened = await api.post("/runs", json={"project_id": site.project_id, "objective": "Try it."})
        decided = await api.post(f"/gates/{known['gate_id']}/decide", json={"decision": "approve", "digest": DIGEST})
        ended = await api.post(f"/runs/{known['run_id']}/cancel", json={"reason": "no need"})
    assert [answer.status_code for answer in (opened, decided, ended)] == [200, 200, 200]
    asked = calls_asked(machine)
    assert [(call.operation, call.body) for call in asked] == [
        ("runs.create", {"objective": "Try it."}),
        ("gates.decide", {"decision": "approve", "digest": DIGEST}),
        ("runs.cancel", {"reason": "no need"}),
    ]
    assert asked[1].parameters["gate_id"] == known["gate_id"]
    assert [call.call_id for call in asked] == [
        answer.headers["Ropeway-Call-Id"] for answer in (opened, decided, ended)
    ]

    def audited() -> Counter[str]:
        with scope.organization(site.tenant.id):
            rows = AuditEvent.objects.filter(call_id__in=[call.call_id for call in asked])
            return Counter(row.event_type for row in rows if row.client_address == "127.0.0.1")

    assert (await scripted.in_thread(audited))["call:accepted"] == 3


async def test_the_same_key_asks_the_machine_once(elsewhere: Cloud, site: Site) -> None:
    body = {"project_id": site.project_id, "objective": "Try it."}
    async with elsewhere.connected(site) as machine, planner(elsewhere, site.token) as api:
        first = await api.post("/runs", json=body, headers={"Idempotency-Key": "k1"})
        again = await api.post("/runs", json=body, headers={"Idempotency-Key": "k1"})
    assert len(calls_asked(machine)) == 1
    assert (first.json(), "Idempotent-Replayed" in first.headers) == (again.json(), False)
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_what_a_machine_refuses_is_told_in_its_words(elsewhere: Cloud, site: Site) -> None:
    refusing = scripted.answer_error(errors.GateDecided())
    async with elsewhere.connected(site, answering=refusing), planner(elsewhere, site.token) as api:
        known = await scripted.in_thread(lambda: work(site))
        refused = await api.post(f"/gates/{known['gate_id']}/decide", json={"decision": "reject"})
    assert (refused.status_code, refused.json()["code"]) == (409, "gate_decided")
    assert refused.headers["content-type"] == "application/problem+json"


async def test_an_export_holds_before_the_stand_alone_verifier(elsewhere: Cloud, site: Site, other_site: Site) -> None:
    async with planner(elsewhere, site.token) as api:
        await api.post("/workspaces", json={"name": "Front end"})
        answer = await api.get("/audit/export")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jsonl")
    lines = answer.content.splitlines(keepends=True)
    keys = [key.hex() for key in signing.believed_keys()]
    _, fault = standalone_verifier.verify(lines, keys)
    assert fault is None
    assert b"Front end" not in answer.content
    assert b"workspace:created" in answer.content
    assert str(other_site.tenant.id).encode() not in answer.content


async def test_an_export_is_read_piece_by_piece_and_never_on_the_event_loop(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: list[str] = []
    read = verify.link_page

    def noted(*arguments: Any, **facts: Any) -> Any:
        readers.append(threading.current_thread().name)
        return read(*arguments, **facts)

    monkeypatch.setattr(verify, "LINKS_AT_ONCE", 2)
    monkeypatch.setattr(verify, "link_page", noted)

    def ask() -> Any:
        answer = Api(token=site.token).ask("GET", "/audit/export?limit=5")
        assert connection.connection is None, "a reader who is slow would keep it"
        return answer

    answer = await scripted.in_request(ask)
    pieces = [piece async for piece in answer.streaming_content]
    report, fault = standalone_verifier.verify(b"".join(pieces).splitlines(keepends=True))
    assert (fault, report["events"], len(pieces)) == (None, 5, 5)
    assert len(readers) == 3
    assert {name.rpartition("_")[0] for name in readers} == {"ropeway-database"}


async def test_of_many_who_change_an_object_at_once_one_is_first_and_all_others_are_told(
    elsewhere: Cloud, site: Site, make_member: MakeMember, make_token: MakeToken
) -> None:
    _, second = await scripted.in_thread(lambda: make_token(make_member(site.tenant, Role.ORG_ADMIN)))
    path = f"/workspaces/{site.tenant.workspace.id}"
    async with planner(elsewhere, site.token) as one, planner(elsewhere, second) as other:
        seen = (await one.get(path)).headers["ETag"]

        async def change(api: httpx.AsyncClient, number: int) -> Any:
            return await api.patch(path, json={"name": f"name {number}"}, headers={"If-Match": seen})

        answers = await asyncio.gather(*(change(api, n) for n, api in enumerate([one, other] * 6)))
        now = (await one.get(path)).json()
    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 11}
    (won,) = [answer.json()["name"] for answer in answers if answer.status_code == 200]
    assert (now["name"], now["version"]) == (won, 2)


async def test_a_body_that_never_ends_and_a_name_that_is_not_ours_are_refused(elsewhere: Cloud, site: Site) -> None:
    async def endless() -> Any:
        for _ in range(64):
            yield b" " * 4096

    async with planner(elsewhere, site.token) as api:
        headers = {"Content-Type": "application/json"}
        long = await api.post("/workspaces", content=endless(), headers=headers)
        strange = await api.get("/me", headers={"Host": "evil.example"})
    assert (long.status_code, long.json()["code"]) == (413, "payload_too_large")
    assert (strange.status_code, strange.json()["code"]) == (421, "forbidden")


async def test_whoever_waits_for_a_machine_keeps_nobody_from_the_database(elsewhere: Cloud, site: Site) -> None:
    more_than_connections = 26
    may_answer = asyncio.Event()

    async def answer_when_told(machine: scripted.ScriptedConnector, request: envelopes.Request) -> None:
        await may_answer.wait()
        await scripted.answer_ok(machine, request)

    body = {"project_id": site.project_id, "objective": "Try it."}
    async with elsewhere.connected(site, answering=answer_when_told) as machine, planner(elsewhere, site.token) as api:
        waiting = [asyncio.create_task(api.post("/runs", json=body)) for _ in range(more_than_connections)]
        try:
            await machine.requests(more_than_connections)
            answered = await api.get("/me")
        finally:
            may_answer.set()
            asked = await asyncio.gather(*waiting)
    assert answered.status_code == 200
    assert {answer.status_code for answer in asked} == {200}
