"""The connectors' door against whoever knocks: each wrong word ends its own link, with a code that says why.

Against real daphne, whose websockets differ from the test server's in what they let through."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets

from cloud.audit.models import AuditEvent
from cloud.tenancy import scope
from local_daemon.protocol import envelopes, errors, limits, link
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site

CALL_ID = "call_" + "0" * 26
HEARTBEAT = '{"type":"heartbeat"}'


def proof(**changed: Any) -> str:
    said = {"type": "proof", "version": 1, "connector_id": "nobody", "nonce": "AAAA", "signature": "AAAA", **changed}
    return json.dumps(said)


BEFORE_PROOF: list[tuple[str, str | bytes, int]] = [
    ("garbage", "garbage", 4400),
    ("nothing", "", 4400),
    ("an array", "[]", 4400),
    ("deep", "[" * 100_000, 4400),
    ("not utf-8 as bytes", b"\xff\xfe", 4400),
    ("a frame of no type we know", '{"type":"exec","command":"id"}', 4400),
    ("a heartbeat", HEARTBEAT, 4400),
    ("a chunk", b"\x01" + CALL_ID.encode() + b"\x00" * 8 + b"x", 4400),
    ("an answer", json.dumps({"type": "response", "call_id": CALL_ID, "status": 200}), 4400),
    ("a proof with NUL", proof(connector_id="\x00"), 4400),
    ("a proof of nobody", proof(), 4400),
    ("another version", proof(version=99), 4426),
    ("a frame too large", " " * (limits.FRAME_BYTES + 1), 4413),
    ("a goodbye", '{"type":"goodbye","code":"internal"}', 4401),
]


@asynccontextmanager
async def knocking(cloud: Cloud, subprotocol: str = "ropeway.v1") -> AsyncIterator[websockets.ClientConnection]:
    url = f"ws://127.0.0.1:{cloud.port}/ws/connectors"
    async with websockets.connect(url, subprotocols=[subprotocol], proxy=None, max_size=None) as socket:  # type: ignore[list-item]
        yield socket


async def ended(socket: websockets.ClientConnection) -> tuple[int | None, list[str]]:
    """How the link ended: its close code, and the codes of the goodbyes before."""
    goodbyes = []
    async with asyncio.timeout(60):
        try:
            while True:
                frame = envelopes.decode(await socket.recv())
                if isinstance(frame, envelopes.Goodbye):
                    goodbyes.append(frame.code)
        except websockets.ConnectionClosed:
            return socket.close_code, goodbyes


def audit_of(site: Site, event_type: str) -> list[AuditEvent]:
    with scope.organization(site.tenant.id):
        return list(AuditEvent.objects.filter(event_type=event_type).order_by("id"))


async def test_whatever_is_said_before_the_proof_ends_the_link_with_a_code(elsewhere: Cloud, site: Site) -> None:
    told = {}
    for name, message, _ in BEFORE_PROOF:
        async with knocking(elsewhere) as socket:
            await socket.recv()
            await socket.send(message)
            told[name], goodbyes = await ended(socket)
            assert [4000 + errors.TABLE[code].http for code in goodbyes] == [told[name]], (name, goodbyes)
    assert told == {name: code for name, _, code in BEFORE_PROOF}
    assert await scripted.in_thread(lambda: audit_of(site, "link:opened")) == []


async def test_another_revision_of_the_protocol_is_told_to_upgrade(elsewhere: Cloud) -> None:
    async with knocking(elsewhere, "ropeway.v2") as socket:
        assert await ended(socket) == (4426, ["protocol_mismatch"])


async def test_a_connector_without_its_key_is_told_so_by_the_code(elsewhere: Cloud, site: Site) -> None:
    async with knocking(elsewhere) as socket:
        hello = envelopes.decode(await socket.recv())
        assert isinstance(hello, envelopes.Hello)
        nonce = base64.b64encode(b"n" * 32).decode()
        signed = link.proof_message(
            audience=hello.audience, connector_id=str(site.connector.id), relay_nonce=hello.nonce, connector_nonce=nonce
        )
        forged = proof(connector_id=str(site.connector.id), nonce=nonce, signature=Machine().signed(signed))
        await socket.send(forged)
        assert await ended(socket) == (4401, ["unauthenticated"])


def events(**changed: Any) -> str:
    record = {
        "seq": 1, "type": "run.changed", "at": "2026-11-21T00:00:00Z", "data": {},
        "prev_hash": "0" * 64, "hash": "0" * 64, **changed,
    }  # fmt: skip
    return json.dumps(
        {"type": "events", "repository_id": "repo_" + "0" * 26, "log_id": "log_" + "0" * 26, "records": [record]}
    )


WHEN_OPEN: list[tuple[str, str | bytes, int]] = [
    ("garbage", "garbage", 4400),
    ("a frame of no type we know", '{"type":"exec","command":"id"}', 4400),
    ("the right type in the wrong shape", '{"type":"response","call_id":"x","status":"ok"}', 4400),
    ("what only a relay says", json.dumps({"type": "cancel", "call_id": CALL_ID}), 4400),
    ("a second proof", proof(), 4400),
    ("bytes that are no chunk", b"\x07" * 60, 4400),
    ("a frame too large", b"\x01" * (limits.FRAME_BYTES + 1), 4413),
    ("an event with a number that is none", events(data={"x": float("nan")}), 4400),
]


async def test_a_wrong_word_ends_its_own_link_and_no_call_of_another(
    elsewhere: Cloud, site: Site, other_site: Site
) -> None:
    """The other machine's call is under way all the while, and is answered in the end."""
    may_answer = asyncio.Event()

    async def answer_late(connector: scripted.ScriptedConnector, request: envelopes.Request) -> None:
        await may_answer.wait()
        await scripted.answer_ok(connector, request)

    told = {}
    async with (
        elsewhere.connected(other_site, answering=answer_late) as other,
        elsewhere.planner(other_site) as planner,
    ):
        asking = asyncio.create_task(planner.get("/runs"))
        await other.requests()
        for name, message, _ in WHEN_OPEN:
            async with elsewhere.connected(site) as machine:
                await machine.socket.send(message)
                await machine.until(lambda frame: isinstance(frame, envelopes.Goodbye))
                await machine.socket.wait_closed()
                told[name] = machine.socket.close_code
        may_answer.set()
        answer = await asking
    assert told == {name: code for name, _, code in WHEN_OPEN}
    assert answer.status_code == 200
    closed = await scripted.in_thread(lambda: audit_of(site, "link:closed"))
    assert len(closed) >= len(WHEN_OPEN) - 1


async def test_an_answer_to_another_tenants_call_is_refused_and_audited(
    elsewhere: Cloud, site: Site, other_site: Site
) -> None:
    async with (
        elsewhere.connected(other_site, answering=scripted.answer_never) as other,
        elsewhere.connected(site) as thief,
        elsewhere.planner(other_site) as planner,
        elsewhere.planner(site) as own_planner,
    ):
        asking = asyncio.create_task(planner.get("/runs"))
        (request,) = await other.requests()
        await thief.send(envelopes.Response(call_id=request.call_id, status=200, body={"stolen": True}))
        # Its own call is answered after that: what it said before has been looked at, and its link stands.
        assert (await own_planner.get("/runs")).status_code == 200
        assert not asking.done()
        await other.send(envelopes.Response(call_id=request.call_id, status=200, body={"own": True}))
        answer = await asking
    assert answer.json() == {"own": True}
    (denied,) = await scripted.in_thread(lambda: audit_of(site, "call:denied"))
    assert (denied.actor_kind, denied.actor_id) == ("connector", str(site.connector.id))
    assert (denied.target_kind, denied.target_id, denied.outcome) == ("call", request.call_id, "error")
    assert await scripted.in_thread(lambda: audit_of(other_site, "call:denied")) == []


@pytest.mark.parametrize(
    "shown", [{"hostname": "\x00"}, {"platform": "x", "instance_version": "\x00"}, {"executors": ("\x00",)}]
)
async def test_what_no_database_holds_is_not_recorded_and_the_link_goes_on(
    cloud: Cloud, site: Site, shown: dict[str, Any]
) -> None:
    async with cloud.connected(site) as machine, cloud.planner(site) as planner:
        await machine.send(site.shares.model_copy(update=shown))
        assert (await planner.get("/runs")).status_code == 200


@pytest.mark.parametrize(
    "problem",
    [
        {},
        {"code": "no_such", "detail": 5, "attributes": {"detail": "x", "retry_after_s": 1}},
        {"code": "rate_limited", "retry_after_s": 1e308},
        {"code": "method_not_allowed", "attributes": {"allowed": "GET\r\nSet-Cookie: a=b"}},
        {"code": "not_found", "attributes": {"call_id": "x\r\nSet-Cookie: a=b"}},
    ],
)
async def test_any_problem_of_a_machine_is_told_as_one_of_the_table(
    cloud: Cloud, site: Site, problem: dict[str, Any]
) -> None:
    async def refuse(connector: scripted.ScriptedConnector, request: envelopes.Request) -> None:
        await connector.send(envelopes.Response(call_id=request.call_id, status=500, problem=problem))

    async with cloud.connected(site, answering=refuse), cloud.planner(site) as planner:
        answer = await planner.get("/runs")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code == errors.TABLE[answer.json()["code"]].http
    assert "set-cookie" not in answer.headers


async def test_a_machine_cannot_write_headers_of_ours(cloud: Cloud, site: Site) -> None:
    async def answer(connector: scripted.ScriptedConnector, request: envelopes.Request) -> None:
        head = envelopes.StreamHead(media_type="text/html\r\nSet-Cookie: a=b", size_bytes=0)
        await connector.send(envelopes.Response(call_id=request.call_id, status=200, stream=head))
        await connector.send(envelopes.StreamSender(call_id=request.call_id).end())

    async with cloud.connected(site, answering=answer), cloud.planner(site) as planner:
        answered = await planner.get("/artifacts/art_" + "0" * 26 + "/content")
    assert (answered.status_code, answered.headers["content-type"]) == (200, "application/octet-stream")
    assert "set-cookie" not in answered.headers
