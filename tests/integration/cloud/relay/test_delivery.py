"""A call is carried out once and answered once, whatever is lost on the way."""

import asyncio
from typing import Any

import httpx
import pytest

from cloud.dispatch import selectors
from cloud.dispatch.models import OperationCall
from cloud.dispatch.progress import calls_sweep
from local_daemon.protocol import envelopes, errors
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site
from tests.integration.cloud.relay.test_http import audit_of, calls_of

KEY = {"Idempotency-Key": "once"}
BODY = {"objective": "Try it."}


async def states(site: Site) -> list[str]:
    return [call.state for call in await scripted.in_thread(lambda: calls_of(site))]


async def until_state(site: Site, wanted: str) -> OperationCall:
    """The site's one call, once it has come that far: what happens after an answer happens in the background."""
    async with asyncio.timeout(60):
        while True:
            (call,) = await scripted.in_thread(lambda: calls_of(site))
            if call.state == wanted:
                return call


async def test_the_same_key_and_body_are_answered_alike_and_carried_out_once(cloud: Cloud, site: Site) -> None:
    async with cloud.connected(site) as machine, cloud.planner(site) as planner:
        first = await planner.post("/runs", json=BODY, headers=KEY)
        second = await planner.post("/runs", json=BODY, headers=KEY)
        assert len(await machine.requests()) == 1
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"


async def test_the_same_key_with_another_body_is_a_conflict(cloud: Cloud, site: Site) -> None:
    async with cloud.connected(site), cloud.planner(site) as planner:
        await planner.post("/runs", json=BODY, headers=KEY)
        answer = await planner.post("/runs", json={"objective": "Another."}, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")


async def test_the_same_key_twice_at_once_is_one_call_with_two_answers(cloud: Cloud, site: Site) -> None:
    async with cloud.connected(site) as machine, cloud.planner(site) as planner:
        answers = await asyncio.gather(*(planner.post("/runs", json=BODY, headers=KEY) for _ in range(5)))
        assert len(await machine.requests()) == 1
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.headers["ropeway-call-id"] for answer in answers}) == 1


async def test_a_final_error_is_remembered(cloud: Cloud, site: Site) -> None:
    refusing = scripted.answer_error(errors.InvalidTransition("The run is closed."))
    async with cloud.connected(site, answering=refusing) as machine, cloud.planner(site) as planner:
        answers = [await planner.post("/runs", json=BODY, headers=KEY) for _ in range(2)]
        assert len(await machine.requests()) == 1
    assert [answer.json()["detail"] for answer in answers] == ["The run is closed."] * 2


async def test_a_retryable_error_lets_the_same_call_go_again(cloud: Cloud, site: Site) -> None:
    refusals = [errors.ExecutorUnavailable()]

    async def answer(connector: scripted.ScriptedConnector, request: envelopes.Request) -> None:
        answering = scripted.answer_error(refusals.pop()) if refusals else scripted.answer_ok
        await answering(connector, request)

    async with cloud.connected(site, answering=answer) as machine, cloud.planner(site) as planner:
        first = await planner.post("/runs", json=BODY, headers=KEY)
        second = await planner.post("/runs", json=BODY, headers=KEY)
        requests = await machine.requests(2)
    assert (first.status_code, second.status_code) == (503, 200)
    assert requests[0].call_id == requests[1].call_id


async def test_a_read_is_never_remembered(cloud: Cloud, site: Site) -> None:
    async with cloud.connected(site) as machine, cloud.planner(site) as planner:
        for _ in range(2):
            await planner.get("/runs", headers=KEY)
        assert len(await machine.requests(2)) == 2
    assert [call.answer for call in await scripted.in_thread(lambda: calls_of(site))] == ["", ""]


async def test_a_read_that_was_just_recorded_is_answered_by_the_process_that_has_its_answer(
    cloud: Cloud, site: Site
) -> None:
    async with cloud.connected(site), cloud.planner(site) as planner:
        await planner.get("/runs")
        (call,) = await scripted.in_thread(lambda: calls_of(site))
    # Whoever looks for missed hints at this moment finds a row without an answer, which is not "gone".
    assert (call.state, call.answer) == ("answered", "")
    assert await scripted.in_thread(lambda: selectors.answer_find(call.id)) is None


async def test_a_call_whose_link_is_lost_is_delivered_again_and_answered(cloud: Cloud, site: Site) -> None:
    async with cloud.planner(site) as planner:
        async with cloud.connected(site, answering=scripted.answer_never) as machine:
            asking = asyncio.create_task(planner.post("/runs", json=BODY))
            (lost,) = await machine.requests()
        async with cloud.connected(site) as machine:
            (again,) = await machine.requests()
            answer = await asking
    assert answer.status_code == 200
    assert again.call_id == lost.call_id == answer.headers["ropeway-call-id"]
    told = await scripted.in_thread(lambda: audit_of(site))
    assert [row.event_type for row in told] == ["call:accepted", "call:answered"]


async def test_a_newer_link_takes_over_what_an_older_one_had(cloud: Cloud, site: Site) -> None:
    async with (
        cloud.planner(site) as planner,
        cloud.connected(site, answering=scripted.answer_never) as older,
    ):
        asking = asyncio.create_task(planner.post("/runs", json=BODY))
        await older.requests()
        async with cloud.connected(site) as newer:
            answer = await asking
            goodbye = await older.until(lambda frame: isinstance(frame, envelopes.Goodbye))
            assert newer.epoch > older.epoch
    assert answer.status_code == 200
    assert [frame.code for frame in goodbye if isinstance(frame, envelopes.Goodbye)] == ["precondition_failed"]


async def test_a_sent_call_without_an_answer_is_unresolved_at_its_deadline_and_a_late_answer_still_counts(
    cloud: Cloud, site: Site
) -> None:
    async with (
        cloud.connected(site, answering=scripted.answer_never) as machine,
        cloud.planner(site) as planner,
    ):
        asking = asyncio.create_task(planner.post("/runs", json=BODY, headers=KEY))
        (request,) = await machine.requests()
        await scripted.in_thread(lambda: _make_due(site))
        await scripted.in_thread(calls_sweep)
        answer = await asking
        assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")
        assert await states(site) == ["unresolved"]
        await scripted.answer_ok(machine, request)
        await until_state(site, "answered")
        learned = await planner.post("/runs", json=BODY, headers=KEY)
    assert learned.status_code == 200
    assert learned.headers["idempotent-replayed"] == "true"
    told = await scripted.in_thread(lambda: audit_of(site))
    assert [row.event_type for row in told] == ["call:accepted", "call:unresolved", "call:answered"]


def _make_due(site: Site) -> None:
    from cloud.tenancy import scope

    with scope.organization(site.tenant.id):
        for call in OperationCall.objects.all():
            OperationCall.objects.filter(id=call.id).update(deadline_at=call.accepted_at)


async def test_a_planner_that_does_not_wait_is_told_where_to_look(cloud: Cloud, site: Site) -> None:
    asynchronous = {**KEY, "Prefer": "respond-async"}
    async with cloud.connected(site):
        pass
    async with cloud.planner(site) as planner:
        queued = await planner.post("/runs", json=BODY, headers=asynchronous)
        assert queued.status_code == 202, queued.text
        call_id = queued.json()["call_id"]
        async with cloud.connected(site):
            await until_state(site, "answered")
        found = await planner.get(f"{cloud.url}/api/v2/calls/{call_id}")
    assert found.json()["state"] == "answered"
    assert found.json()["body"]["body"] == BODY


async def test_another_principals_call_does_not_exist(cloud: Cloud, site: Site, other_site: Site) -> None:
    async with cloud.connected(site), cloud.planner(site) as planner, cloud.planner(other_site) as other:
        call_id = (await planner.get("/runs")).headers["ropeway-call-id"]
        own = await planner.get(f"{cloud.url}/api/v2/calls/{call_id}")
        others = await other.get(f"{cloud.url}/api/v2/calls/{call_id}")
    assert own.json()["state"] == "answered"
    assert (others.status_code, others.json()["code"]) == (404, "not_found")


async def test_a_connector_cannot_answer_what_another_was_asked(cloud: Cloud, site: Site, other_site: Site) -> None:
    async with (
        cloud.connected(site, answering=scripted.answer_never) as machine,
        cloud.connected(other_site) as stranger,
        cloud.planner(site) as planner,
    ):
        asking = asyncio.create_task(planner.post("/runs", json=BODY))
        (request,) = await machine.requests()
        await stranger.send(envelopes.Response(call_id=request.call_id, status=200, body={"forged": True}))
        # Its own next call is answered after the forgery was looked at.
        async with cloud.planner(other_site) as other:
            await other.get("/runs")
        assert not asking.done()
        await scripted.answer_ok(machine, request)
        answer = await asking
    assert "forged" not in answer.json()


async def test_more_calls_than_a_link_carries_are_refused_to_try_again(
    cloud: Cloud, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from local_daemon.protocol import limits

    monkeypatch.setattr(limits, "CALLS_IN_FLIGHT", 2)
    async with (
        cloud.connected(site, answering=scripted.answer_never) as machine,
        cloud.planner(site) as planner,
    ):
        asking = [asyncio.create_task(planner.get("/runs")) for _ in range(2)]
        for _ in await machine.requests(2):
            refused = await planner.get("/runs")
            assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        for request in await machine.requests(2):
            await scripted.answer_ok(machine, request)
        answers: list[httpx.Response] = list(await asyncio.gather(*asking))
    assert [answer.status_code for answer in answers] == [200, 200]


@pytest.mark.parametrize("breaking", ["{", '{"type": "surprise"}', "x" * (300 * 1024), b"\x01short"])
async def test_a_connector_that_breaks_the_protocol_is_told_and_closed(cloud: Cloud, site: Site, breaking: Any) -> None:
    async with cloud.connected(site) as machine:
        await machine.socket.send(breaking)
        goodbye = await machine.until(lambda frame: isinstance(frame, envelopes.Goodbye))
    assert isinstance(goodbye[0], envelopes.Goodbye)
    assert goodbye[0].code in ("invalid_request", "payload_too_large")
