"""/api/v2 over a real socket: what a planner sends, what the machine gets, what comes back."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from cloud.audit.models import AuditEvent
from cloud.dispatch.models import OperationCall
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from local_daemon.protocol import errors, limits
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site

RUN = "run_" + "0" * 26
ARTIFACT = "art_" + "0" * 26


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def task(**changed: Any) -> bytes:
    return json.dumps({"task": {"goal": "Try it.", "executor": "codex", **changed}}).encode()


def assert_problem(answer: httpx.Response, code: str, *, status: int | None = None) -> None:
    """What every refusal of this surface looks like."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    expected = status or errors.TABLE[code].http
    assert (answer.status_code, problem["status"], problem["code"]) == (expected, expected, code), answer.text
    assert {"type", "title", "detail", "retryable"} <= set(problem)


def audit_of(site: Site, **facts: Any) -> list[AuditEvent]:
    with scope.organization(site.tenant.id):
        return list(AuditEvent.objects.filter(event_type__startswith="call:", **facts).order_by("id"))


def calls_of(site: Site) -> list[OperationCall]:
    with scope.organization(site.tenant.id):
        return list(OperationCall.objects.order_by("id"))


async def test_a_call_reaches_the_machine_and_its_answer_comes_back(cloud: Cloud, site: Site) -> None:
    async with cloud.connected(site), cloud.planner(site) as planner:
        answer = await planner.post("/runs", json={"objective": "Try it."})
    assert answer.status_code == 200, answer.text
    assert answer.json()["operation"] == "runs.create"
    assert answer.json()["parameters"] == {"repository_id": site.repository_id}
    assert answer.json()["body"] == {"objective": "Try it."}


async def test_a_call_leaves_two_audit_rows(cloud: Cloud, site: Site) -> None:
    async with cloud.connected(site), cloud.planner(site) as planner:
        answer = await planner.get("/runs", params={"limit": 5})
    call_id = answer.headers["ropeway-call-id"]
    rows = await scripted.in_thread(lambda: audit_of(site, call_id=call_id))
    assert [(row.event_type, row.outcome) for row in rows] == [("call:accepted", "ok"), ("call:answered", "ok")]
    assert rows[1].duration_ms is not None
    assert answer.json()["query"] == {"limit": 5}


async def test_the_project_itself_stands_for_its_repository(cloud: Cloud, site: Site) -> None:
    async with cloud.connected(site), cloud.planner(site) as planner:
        answer = await planner.get("/repository")
    assert answer.json()["operation"] == "repositories.get"


async def test_an_error_of_the_machine_is_a_problem(cloud: Cloud, site: Site) -> None:
    refusing = scripted.answer_error(errors.NotFound("No such run."))
    async with cloud.connected(site, answering=refusing), cloud.planner(site) as planner:
        answer = await planner.get(f"/runs/{RUN}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"
    assert answer.json()["detail"] == "No such run."
    rows = await scripted.in_thread(lambda: audit_of(site))
    assert [(row.event_type, row.outcome) for row in rows] == [("call:accepted", "ok"), ("call:answered", "error")]


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "/runs", b"{", "invalid_request"),
        ("POST", "/runs", b'{"objective": "x", "objective": "y"}', "invalid_request"),
        ("POST", "/runs", b'{"objective": NaN}', "invalid_request"),
        ("POST", "/runs", b'{"objective": "x", "surprise": 1}', "invalid_request"),
        ("POST", "/runs", b'{"objective": "x", "surprise": 1e999}', "invalid_request"),
        ("POST", "/runs", b'{"objective": "\\ud800"}', "invalid_request"),
        ("POST", "/runs", b'{"objective": "\\u0000"}', "invalid_request"),
        ("POST", "/runs", b'{"objective": "x", "\\ud800\\u0000": 1}', "invalid_request"),
        ("POST", "/runs", b'{"objective": true}', "invalid_request"),
        ("POST", "/runs", b'{"objective": ' + b"9" * 5000 + b"}", "invalid_request"),
        ("POST", "/runs", b"\xff\xfe{}", "invalid_request"),
        ("POST", "/runs", b"[" * 100_000, "invalid_request"),
        ("POST", "/runs", b'{"a":' * 2000 + b"1" + b"}" * 2000, "invalid_request"),
        ("POST", f"/runs/{RUN}/steps", task(params={"deep": nested(63)}), "invalid_request"),
        ("POST", f"/runs/{RUN}/steps", task(params={"a\x00b": 1}), "invalid_request"),
        ("POST", f"/runs/{RUN}/steps", task(params={"huge": 10**30}), "invalid_request"),
        ("POST", f"/runs/{RUN}/steps", task(timeout_s=True), "invalid_request"),
        ("POST", f"/runs/{RUN}/steps", task(timeout_s=-1), "invalid_request"),
        ("POST", f"/runs/{RUN}/steps", task(timeout_s=10**30), "invalid_request"),
        ("GET", "/runs", b"{}", "invalid_request"),
        ("GET", "/runs?limit=0", b"", "invalid_request"),
        ("GET", "/runs?limit=true", b"", "invalid_request"),
        ("GET", "/runs?limit=1e1", b"", "invalid_request"),
        ("GET", "/runs?limit=%00", b"", "invalid_request"),
        ("GET", "/runs?location=%00", b"", "invalid_request"),
        ("GET", "/runs?cursor=..%2f", b"", "invalid_request"),
        ("GET", "/events?after_seq=9223372036854775808", b"", "invalid_request"),
        ("GET", "/runs?limit=1&limit=2", b"", "invalid_request"),
        ("GET", "/runs?limit=%ff", b"", "invalid_request"),
        ("GET", "/runs?what=1", b"", "invalid_request"),
        ("GET", "/runs?" + "x" * 5000, b"", "invalid_request"),
        ("GET", "/runs/..%2f..%2fetc", b"", "not_found"),
        ("GET", "/runs/%2e%2e", b"", "invalid_request"),
        ("GET", "/runs/%00", b"", "invalid_request"),
        ("GET", "/runs/%ff", b"", "invalid_request"),
        ("GET", "/runs/run_;rm", b"", "invalid_request"),
        ("GET", "/runs/$(reboot)", b"", "invalid_request"),
        ("GET", "/runs/" + "x" * 10_000, b"", "invalid_request"),
        ("GET", "/" + "x/" * 10_000, b"", "not_found"),
        ("GET", "/instance", b"", "not_found"),
        ("DELETE", "/runs", b"", "method_not_allowed"),
        ("GET", f"/steps/{RUN}", b"", "invalid_request"),
    ],
)
async def test_bad_input_is_named_and_changes_nothing(
    cloud: Cloud, site: Site, method: str, path: str, body: bytes, code: str
) -> None:
    json_type = {"Content-Type": "application/json"}
    async with cloud.connected(site) as machine, cloud.planner(site) as planner:
        answer = await planner.request(method, path, content=body, headers=json_type)
        assert not [frame for frame in machine.received if isinstance(frame, scripted.envelopes.Request)]
    assert_problem(answer, code)
    assert await scripted.in_thread(lambda: calls_of(site)) == []


async def test_a_path_names_the_methods_it_takes(cloud: Cloud, site: Site) -> None:
    async with cloud.planner(site) as planner:
        told = [
            await planner.request(method, path)
            for method, path in [
                ("PUT", "/runs"),
                ("OPTIONS", "/runs"),
                ("TRACE", "/repository"),
                ("POST", f"{cloud.url}/api/v2/projects"),
                ("DELETE", f"{cloud.url}/api/v2/calls/call_{'0' * 26}"),
                ("GET", f"/runs/{RUN}/close"),
            ]
        ]
    for answer in told:
        assert_problem(answer, "method_not_allowed")
    assert [answer.headers["allow"] for answer in told] == ["GET, POST", "GET, POST", "GET", "GET", "GET", "POST"]


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", None])
async def test_a_body_that_is_not_json_is_refused_by_its_type(cloud: Cloud, site: Site, media_type: str | None) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    async with cloud.planner(site) as planner:
        answer = await planner.post("/runs", content=b'{"objective": "Try it."}', headers=headers)
    assert_problem(answer, "invalid_request", status=415)
    assert await scripted.in_thread(lambda: calls_of(site)) == []


@pytest.mark.parametrize("path", ["/api/v2/projects", "/api/v2/nowhere", "/api/v2/connectors/enroll", "/mcp"])
async def test_nothing_is_served_by_a_name_that_is_not_ours(cloud: Cloud, site: Site, path: str) -> None:
    async with cloud.planner(site) as planner:
        answer = await planner.get(f"{cloud.url}{path}", headers={"Host": "evil.example"})
    assert_problem(answer, "forbidden", status=421)


@pytest.mark.parametrize("path", ["/api/v2/projects?all=1", "/api/v2/calls/call_00000000000000000000000000?x=1"])
async def test_the_clouds_own_paths_take_no_query(cloud: Cloud, site: Site, path: str) -> None:
    async with cloud.planner(site) as planner:
        assert_problem(await planner.get(f"{cloud.url}{path}"), "invalid_request")


async def test_a_body_that_never_ends_is_given_up(cloud: Cloud, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_S", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", cloud.port)
    writer.write(
        f"POST /api/v2/projects/{site.project_id}/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n"
        f"Authorization: Bearer {site.token}\r\nContent-Type: application/json\r\n\r\n{{".encode()
    )
    async with asyncio.timeout(60):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"deadline_exceeded"' in answer
    assert await scripted.in_thread(lambda: calls_of(site)) == []


async def test_fifty_megabytes_are_refused_and_change_nothing(cloud: Cloud, site: Site) -> None:
    async def endless() -> Any:
        for _ in range(50):
            yield b" " * limits.MIB

    async with cloud.planner(site) as planner:
        declared = await planner.post("/runs", content=b" " * (50 * limits.MIB))
        chunked = await planner.post("/runs", content=endless())
    assert [declared.status_code, chunked.status_code] == [413, 413]
    assert declared.json()["code"] == "payload_too_large"
    assert await scripted.in_thread(lambda: calls_of(site)) == []


async def test_a_body_larger_than_a_frame_reaches_the_machine_whole(cloud: Cloud, site: Site) -> None:
    received = bytearray()

    async def answer(connector: scripted.ScriptedConnector, request: Any) -> None:
        assert request.stream is not None
        assert request.stream.is_body
        receiver = scripted.envelopes.StreamReceiver(call_id=request.call_id, head=request.stream)
        taken = 0
        while True:
            frames = await connector.until(
                lambda frame: isinstance(frame, scripted.envelopes.Chunk | scripted.envelopes.End), count=taken + 1
            )
            frame = frames[taken]
            taken += 1
            if isinstance(frame, scripted.envelopes.End):
                receiver.finish(frame)
                break
            received.extend(receiver.feed(frame))
            if credit := receiver.consume(len(frame.payload)):
                await connector.send(credit)
        await connector.send(scripted.envelopes.Response(call_id=request.call_id, status=202, body={"ok": True}))

    task = {"goal": "Apply.", "executor": "patch", "patch": "+" * (3 * limits.MIB)}
    async with cloud.connected(site, answering=answer), cloud.planner(site) as planner:
        answered = await planner.post(f"/runs/{RUN}/steps", json={"task": task})
    assert answered.status_code == 202, answered.text
    assert json.loads(received) == {"task": task}


async def test_an_answer_larger_than_a_frame_comes_back_whole(cloud: Cloud, site: Site) -> None:
    body = {"items": ["x" * 1000] * 1000}

    async def answer(connector: scripted.ScriptedConnector, request: Any) -> None:
        content = json.dumps(body).encode()
        head = scripted.envelopes.StreamHead(media_type="application/json", is_body=True)
        await connector.send(scripted.envelopes.Response(call_id=request.call_id, status=200, stream=head))
        sender = scripted.envelopes.StreamSender(call_id=request.call_id, limit=10**9)
        while sender.offset < len(content):
            if sender.offset + sender.allowance > limits.STREAM_WINDOW_BYTES:
                await connector.until(
                    lambda f: isinstance(f, scripted.envelopes.Credit) and f.limit >= sender.offset + limits.CHUNK_BYTES
                )
            await connector.send(sender.chunk(content[sender.offset : sender.offset + sender.allowance]))
        await connector.send(sender.end())

    async with cloud.connected(site, answering=answer), cloud.planner(site) as planner:
        answered = await planner.get("/runs")
    assert answered.json() == body


async def test_an_artifact_streams_and_honours_a_range(cloud: Cloud, site: Site) -> None:
    content = bytes(range(256)) * 10_000
    async with (
        cloud.connected(site, answering=scripted.answer_content(content)),
        cloud.planner(site) as planner,
    ):
        whole = await planner.get(f"/artifacts/{ARTIFACT}/content")
        part = await planner.get(f"/artifacts/{ARTIFACT}/content", headers={"Range": "bytes=100-199"})
        rest = await planner.get(f"/artifacts/{ARTIFACT}/content", headers={"Range": f"bytes={len(content) - 5}-"})
    assert whole.status_code == 200
    assert whole.content == content
    assert whole.headers["content-disposition"] == "attachment"
    assert (part.status_code, part.content) == (206, content[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(content)}"
    assert rest.content == content[-5:]


async def test_who_presents_no_good_token_is_told_how(cloud: Cloud, site: Site) -> None:
    mistyped = site.token[:-1] + ("y" if site.token.endswith("x") else "x")
    async with cloud.client() as anybody:
        answers = [
            await anybody.get("/api/v2/projects"),
            await anybody.get("/api/v2/projects", headers={"Authorization": "Basic abc"}),
            await anybody.get("/api/v2/projects", headers={"Authorization": f"Bearer {mistyped}"}),
            await anybody.post(f"/api/v2/projects/{site.project_id}/runs", content=b"{"),
        ]
    assert [answer.status_code for answer in answers] == [401] * 4
    assert all(answer.headers["www-authenticate"].startswith("Bearer") for answer in answers)


async def test_another_tenants_project_does_not_exist(cloud: Cloud, site: Site, other_site: Site) -> None:
    async with cloud.connected(other_site) as machine, cloud.client() as planner:
        answer = await planner.post(
            f"{cloud.url}/api/v2/projects/{other_site.project_id}/runs",
            json={"objective": "Try it."},
            headers=site.headers,
        )
        assert not [frame for frame in machine.received if isinstance(frame, scripted.envelopes.Request)]
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    denied = await scripted.in_thread(lambda: audit_of(site))
    assert [row.event_type for row in denied] == ["call:denied"]
    assert await scripted.in_thread(lambda: audit_of(other_site)) == []


@pytest.mark.parametrize("path", ["/api/v2/projects/%00/runs", "/api/v2/calls/%00"])
async def test_an_id_with_a_nul_does_not_exist(cloud: Cloud, site: Site, path: str) -> None:
    async with cloud.planner(site) as planner:
        answer = await planner.get(f"{cloud.url}{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_token_without_the_scope_is_refused_and_that_is_audited(
    cloud: Cloud, site: Site, make_member: MakeMember, make_token: MakeToken
) -> None:
    _, narrow = await scripted.in_thread(lambda: make_token(make_member(site.tenant, Role.ORG_OWNER), Scope.RUNS_READ))
    async with cloud.connected(site), cloud.planner(site) as planner:
        answer = await planner.post("/runs", json={"objective": "x"}, headers={"Authorization": f"Bearer {narrow}"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    denied = await scripted.in_thread(lambda: audit_of(site, event_type="call:denied"))
    assert [row.details["code"] for row in denied] == ["forbidden"]


async def test_a_repository_that_is_not_shared_any_more_does_not_exist(cloud: Cloud, site: Site) -> None:
    async with cloud.connected(site) as machine, cloud.planner(site) as planner:
        await machine.send(site.machine.advertisement())
        # Advertisements are recorded in order: the answer to a second one says that the first is done.
        await machine.send(site.machine.advertisement("other"))
        await machine.until(lambda frame: isinstance(frame, scripted.envelopes.Follow), count=2)
        answer = await planner.get("/runs", params={"location": site.repository_id})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_machine_that_is_away_is_told_at_once_with_a_time_to_retry(cloud: Cloud, site: Site) -> None:
    async with cloud.connected(site):
        pass
    await scripted.until_unlinked(site.connector)
    async with cloud.planner(site) as planner:
        answer = await planner.get("/runs")
    assert answer.status_code == 503
    assert answer.json()["code"] == "connector_offline"
    assert int(answer.headers["retry-after"]) >= 1
    (call,) = await scripted.in_thread(lambda: calls_of(site))
    assert (call.state, call.sent_at) == ("cancelled", None)


async def test_two_places_without_a_choice_are_ambiguous_and_named(cloud: Cloud, site: Site) -> None:
    both = site.machine.advertisement("one", "two")
    async with cloud.connected(site) as machine, cloud.planner(site) as planner:
        await machine.send(both)
        await machine.until(lambda frame: isinstance(frame, scripted.envelopes.Follow), count=3)
        answer = await planner.get("/runs")
        chosen = await planner.get("/runs", params={"location": both.repositories[1].repository_id})
    assert (answer.status_code, answer.json()["code"]) == (409, "ambiguous_location")
    named = {place["repository_id"] for place in answer.json()["attributes"]["candidates"]}
    assert named == {offer.repository_id for offer in both.repositories}
    assert chosen.json()["parameters"]["repository_id"] == both.repositories[1].repository_id


async def test_projects_are_listed_with_their_places(cloud: Cloud, site: Site) -> None:
    async with cloud.connected(site), cloud.client(site.headers) as planner:
        answer = await planner.get(f"{cloud.url}/api/v2/projects")
    (project,) = answer.json()["items"]
    assert project["project_id"] == site.project_id
    assert project["locations"][0]["repository_id"] == site.repository_id


async def test_a_hundred_calls_at_once_are_each_answered(cloud: Cloud, site: Site) -> None:
    async with cloud.connected(site), cloud.planner(site, limits=httpx.Limits(max_connections=100)) as planner:
        answers = await asyncio.gather(
            *(planner.post("/runs", json={"objective": str(number)}) for number in range(100))
        )
    assert [answer.status_code for answer in answers] == [200] * 100
    assert [answer.json()["body"]["objective"] for answer in answers] == [str(number) for number in range(100)]
    assert len({answer.headers["ropeway-call-id"] for answer in answers}) == 100
