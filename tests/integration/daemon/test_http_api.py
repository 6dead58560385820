"""The daemon's HTTP door, on a real process: what gets in, what stays out, and that refusals change nothing."""

import json
import socket
import statistics
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local_daemon.protocol import ids, limits
from local_daemon.protocol.ids import IdPrefix
from local_daemon.protocol.operations import OPERATIONS
from tests.integration.daemon.door import API, Door

UNKNOWN_RUN = "run_01j00000000000000000000000"
UNKNOWN_REPOSITORY = "repo_01j00000000000000000000000"


@pytest.fixture(scope="module")
def run_id(door: Door, repository_id: str) -> str:
    return door.run_create(repository_id)


@pytest.fixture
def unchanged(door: Door, repository_id: str, run_id: str) -> Iterator[None]:
    """Whatever the test sends, the record is the same afterwards."""
    before = _record_seen(door)
    yield
    assert _record_seen(door) == before


def _record_seen(door: Door) -> list[Any]:
    return list(door.get("/repositories")["items"])


@pytest.fixture
def loopback(door: Door) -> Iterator[httpx.Client]:
    """A client that shows no token, on the loopback port."""
    with httpx.Client(base_url=f"http://127.0.0.1:{door.address['port']}") as client:
        yield client


def _problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"urn:ropeway:error:{code}"
    return problem


# -- who may enter


def test_anybody_may_ask_whether_the_daemon_lives(loopback: httpx.Client) -> None:
    assert loopback.get("/livez").status_code == 200


@pytest.mark.parametrize("shown", [None, "Bearer wrong", "Bearer", "Basic dG9rZW4=", "wrong", "Bearer \xe9"])
def test_without_the_token_nobody_gets_in(loopback: httpx.Client, shown: str | None) -> None:
    headers = {} if shown is None else {"Authorization": shown.encode("latin-1")}
    answer = loopback.get("/api/v1/instance", headers=headers)  # type: ignore[arg-type]
    _problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_path_of_nothing_tells_a_stranger_no_more_than_any_other(loopback: httpx.Client) -> None:
    _problem(loopback.get("/api/v1/nothing"), 401, "unauthenticated")


def test_the_token_opens_the_loopback_port_too(door: Door, loopback: httpx.Client) -> None:
    answer = loopback.get("/api/v1/instance", headers={"Authorization": f"Bearer {door.token}"})
    assert answer.json()["instance_id"] == door.get("/instance")["instance_id"]


def test_an_answer_on_loopback_is_not_held_back_by_the_network_stack(door: Door, loopback: httpx.Client) -> None:
    """A socket that asyncio does not know for TCP keeps Nagle's algorithm, and each answer takes 40 ms."""
    headers = {"Authorization": f"Bearer {door.token}"}
    took_s = [loopback.get("/api/v1/instance", headers=headers).elapsed.total_seconds() for _ in range(15)]
    assert statistics.median(took_s) < 0.03


@pytest.mark.parametrize(
    "host", ["example.com", "127.0.0.1.example.com", "localhost.example.com:80", "10.0.0.1", "[::1].example.com", ""]
)
def test_a_foreign_host_is_refused_whatever_token_it_shows(door: Door, unchanged: None, host: str) -> None:
    _problem(door.http.get(API + "/instance", headers={"Host": host}), 403, "forbidden")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:65000", "[::1]", "[::1]:80"])
def test_every_name_of_loopback_is_accepted(door: Door, host: str) -> None:
    assert door.http.get(API + "/instance", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://example.com", "null", "http://localhost:3000", "http://127.0.0.1", "file://"]
)
def test_a_web_page_is_refused_whatever_token_it_shows(
    door: Door, repository_id: str, unchanged: None, origin: str
) -> None:
    answer = door.post(f"/repositories/{repository_id}/runs", {"objective": "o"}, Origin=origin)
    _problem(answer, 403, "forbidden")


# -- what a request must look like


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"objective": "a",}',
        b"[" * 100_000,
        b'{"objective":"\\ud800"}',
        b'{"objective":"a","objective":"b"}',
        b'{"objective":"a\\u0000"}',
        b'{"objective":NaN}',
        b'{"objective":' + b"9" * 5000 + b"}",
    ],
)
def test_a_malformed_body_is_refused(door: Door, repository_id: str, unchanged: None, content: bytes) -> None:
    answer = door.http.post(
        API + f"/repositories/{repository_id}/runs", content=content, headers={"Content-Type": "application/json"}
    )
    _problem(answer, 400, "invalid_request")


def test_an_unknown_field_is_named_and_its_value_is_not_repeated(
    door: Door, repository_id: str, unchanged: None
) -> None:
    answer = door.post(f"/repositories/{repository_id}/runs", {"objective": "o", "pasword": "hunter2"})
    problem = _problem(answer, 400, "invalid_request")
    assert [item["field"] for item in problem["attributes"]["errors"]] == ["pasword"]
    assert "hunter2" not in answer.text


def test_a_misspelt_fence_deep_in_a_task_is_refused(
    door: Door, repository_id: str, run_id: str, unchanged: None
) -> None:
    body = {"task": {"goal": "g", "executor": "fake-success", "forbiden_paths": ["a"]}}
    answer = door.post(f"/repositories/{repository_id}/runs/{run_id}/steps", body)
    problem = _problem(answer, 400, "invalid_request")
    assert problem["attributes"]["errors"][0]["field"] == "task.forbiden_paths"


@pytest.mark.parametrize(
    "member",
    [
        '"timeout_s": true',
        '"timeout_s": "60"',
        '"timeout_s": 60.0',
        '"gates": {"before": 1}',
        '"gates": {"before": "yes"}',
        '"retry": {"max_attempts": true}',
        '"params": {"\\ud800": 1}',
        '"params": {"a": ["\\udfff"]}',
        '"params": {"a\\u0000": 1}',
        '"params": {"a": "\\u0000"}',
        '"params": {"a": 1, "a": 2}',
        '"params": {"a": Infinity}',
        '"params": {"a": 1e999}',
        '"params": {"a": 18446744073709551616}',
        '"params": {"a": ' + "[" * 100 + "]" * 100 + "}",
    ],
)
def test_a_task_that_would_be_recorded_otherwise_than_it_was_sent_is_refused(
    door: Door, repository_id: str, run_id: str, unchanged: None, member: str
) -> None:
    content = '{"task": {"goal": "g", "executor": "fake-success", ' + member + "}}"
    answer = door.http.post(
        API + f"/repositories/{repository_id}/runs/{run_id}/steps",
        content=content.encode(),
        headers={"Content-Type": "application/json"},
    )
    _problem(answer, 400, "invalid_request")


def test_a_number_does_not_pass_for_a_text(door: Door, repository_id: str, unchanged: None) -> None:
    _problem(door.post(f"/repositories/{repository_id}/runs", {"objective": 7}), 400, "invalid_request")


@pytest.mark.parametrize(
    "value",
    [
        "..%2f..%2fetc",
        "%2e%2e",
        "%2e%2e%2f%2e%2e%2fetc",
        "run_01J00000000000000000000000",
        "$(id)",
        ";rm -rf ~",
        "`id`",
        "a b",
        "%00",
    ],
)
def test_a_malformed_id_is_refused_and_named(door: Door, repository_id: str, unchanged: None, value: str) -> None:
    url = httpx.URL("http://localhost", raw_path=f"/api/v1/repositories/{repository_id}/runs/{_quoted(value)}".encode())
    answer = door.http.send(door.http.build_request("GET", url))
    problem = _problem(answer, 400, "invalid_request")
    assert problem["attributes"]["errors"][0]["field"] == "run_id"


def _quoted(value: str) -> str:
    return "".join(f"%{ord(c):02x}" if c in " $();~`/" else c for c in value)


def test_a_query_of_another_operation_is_refused(door: Door, repository_id: str) -> None:
    answer = door.http.get(API + f"/repositories/{repository_id}/runs", params={"sort": "name"})
    problem = _problem(answer, 400, "invalid_request")
    assert problem["attributes"]["errors"][0]["field"] == "sort"


def test_a_query_where_none_is_taken_is_refused(door: Door) -> None:
    _problem(door.http.get(API + "/instance", params={"verbose": "1"}), 400, "invalid_request")


@pytest.mark.parametrize(
    "query",
    ["limit=1&limit=2", "limit=%zz", "cursor=%ff", "limit=%", "limit=1_0", "limit=true", "limit=+5", "limit=", "%00=1"],
)
def test_a_query_that_can_be_read_in_two_ways_is_refused(door: Door, repository_id: str, query: str) -> None:
    url = httpx.URL("http://localhost", raw_path=f"/api/v1/repositories/{repository_id}/runs?{query}".encode())
    _problem(door.http.send(door.http.build_request("GET", url)), 400, "invalid_request")


def test_a_query_that_the_stream_does_not_know_is_refused(door: Door, repository_id: str) -> None:
    for query in ({"limit": 5}, {"after": 0}):
        answer = door.http.get(API + f"/repositories/{repository_id}/events/stream", params=query)
        _problem(answer, 400, "invalid_request")
    _problem(door.http.get(API + "/openapi.json", params={"pretty": "1"}), 400, "invalid_request")


def test_a_page_over_the_limit_is_refused(door: Door, repository_id: str) -> None:
    answer = door.http.get(API + f"/repositories/{repository_id}/runs", params={"limit": limits.PAGE_ITEMS_MAX + 1})
    _problem(answer, 400, "invalid_request")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_body_that_a_form_could_send_is_refused(
    door: Door, repository_id: str, unchanged: None, media_type: str
) -> None:
    answer = door.http.post(
        API + f"/repositories/{repository_id}/runs", content=b'{"objective":"o"}', headers={"Content-Type": media_type}
    )
    _problem(answer, 400, "invalid_request")


def test_a_body_over_the_limit_is_refused_before_it_is_sent(door: Door, repository_id: str, unchanged: None) -> None:
    with socket.create_connection(("127.0.0.1", door.address["port"]), timeout=10) as client:
        client.sendall(_head(door, repository_id, f"Content-Length: {50 * limits.MIB}"))
        assert client.recv(64).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_grows_over_the_limit_is_refused_while_it_does(
    door: Door, repository_id: str, unchanged: None
) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", door.address["port"]), timeout=10) as client:
        client.sendall(_head(door, repository_id, "Transfer-Encoding: chunked"))
        for _ in range(limits.BODY_BYTES // 0x10000 + 1):
            client.sendall(chunk)
        assert client.recv(64).startswith(b"HTTP/1.1 413 ")


def _head(door: Door, repository_id: str, framing: str) -> bytes:
    return (
        f"POST /api/v1/repositories/{repository_id}/runs HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {door.token}\r\nContent-Type: application/json\r\n{framing}\r\n\r\n"
    ).encode()


def test_a_50_mb_body_is_refused_as_the_table_says(door: Door, repository_id: str, unchanged: None) -> None:
    body = b'{"objective":"' + b"a" * (50 * limits.MIB) + b'"}'
    answer = door.http.post(
        API + f"/repositories/{repository_id}/runs", content=body, headers={"Content-Type": "application/json"}
    )
    _problem(answer, 413, "payload_too_large")


@pytest.mark.parametrize("call_id", ["call_x", "call_01J00000000000000000000000", "../x", "a" * 300])
def test_a_malformed_call_id_is_refused(door: Door, repository_id: str, unchanged: None, call_id: str) -> None:
    answer = door.post(f"/repositories/{repository_id}/runs", {"objective": "o"}, Ropeway_Call_Id=call_id)
    _problem(answer, 400, "invalid_request")


# -- what is not there


@pytest.mark.parametrize("path", ["/nothing", "/", "", "/instance/", "/runs", "/instance/x"])
def test_a_path_of_no_operation_is_not_found(door: Door, path: str) -> None:
    url = httpx.URL("http://localhost", raw_path=f"/api/v1{path}".encode())
    _problem(door.http.send(door.http.build_request("GET", url)), 404, "not_found")


def test_a_method_the_path_does_not_take_says_which_it_does(door: Door, repository_id: str, unchanged: None) -> None:
    answer = door.http.delete(API + f"/repositories/{repository_id}/runs")
    problem = _problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert problem["attributes"] == {"allowed": ["GET", "HEAD", "POST"]}


@pytest.mark.parametrize(
    "path", ["/openapi.json", "/events/stream", f"/repositories/{UNKNOWN_REPOSITORY}/events/stream"]
)
def test_what_is_beside_the_table_names_its_method_too(door: Door, path: str) -> None:
    answer = door.http.post(API + path, json={})
    _problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


def test_an_unknown_run_is_not_found(door: Door, repository_id: str, unchanged: None) -> None:
    body = {"task": {"goal": "g", "executor": "fake-success"}}
    answer = door.post(f"/repositories/{repository_id}/runs/{UNKNOWN_RUN}/steps", body)
    _problem(answer, 404, "not_found")


def test_a_run_of_another_repository_is_not_found(door: Door, run_id: str, unchanged: None) -> None:
    _problem(door.http.get(API + f"/repositories/{UNKNOWN_REPOSITORY}/runs/{run_id}"), 404, "not_found")


def test_no_answer_names_a_path_of_this_machine(door: Door, repository_id: str) -> None:
    answer = door.post("/repositories", {"path": str(door.home / "nowhere")})
    _problem(answer, 400, "invalid_request")
    assert str(door.home) not in answer.text
    assert str(door.home) not in door.http.get(API + f"/repositories/{repository_id}").text


# -- calls


def test_the_same_call_id_twice_makes_one_run(door: Door, repository_id: str) -> None:
    call_id = ids.new_id(IdPrefix.CALL)
    first = door.post(f"/repositories/{repository_id}/runs", {"objective": "once"}, Ropeway_Call_Id=call_id)
    second = door.post(f"/repositories/{repository_id}/runs", {"objective": "once"}, Ropeway_Call_Id=call_id)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()


def test_a_key_used_again_repeats_the_answer_and_with_another_body_conflicts(door: Door, repository_id: str) -> None:
    runs, key = f"/repositories/{repository_id}/runs", {"Idempotency-Key": "build-1"}
    first, again = (door.post(runs, {"objective": "once"}, **key) for _ in range(2))
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    before = _record_seen(door)
    _problem(door.post(runs, {"objective": "other"}, **key), 409, "idempotency_conflict")
    assert _record_seen(door) == before
    somebody = door.post(runs, {"objective": "other"}, **key, Ropeway_Actor="somebody else")
    assert somebody.json()["run"]["run_id"] != first.json()["run"]["run_id"]


@pytest.mark.parametrize("key", ["", "two words", "a" * 201])
def test_what_is_no_key_is_refused(door: Door, repository_id: str, unchanged: None, key: str) -> None:
    answer = door.post(f"/repositories/{repository_id}/runs", {"objective": "o"}, Idempotency_Key=key)
    _problem(answer, 400, "invalid_request")


def test_a_call_is_named_by_its_id_or_by_a_key_but_not_by_both(door: Door, repository_id: str, unchanged: None) -> None:
    named = {"Ropeway-Call-Id": ids.new_id(IdPrefix.CALL), "Idempotency-Key": "k"}
    answer = door.post(f"/repositories/{repository_id}/runs", {"objective": "o"}, **named)
    _problem(answer, 400, "invalid_request")


def test_a_call_id_used_for_something_else_conflicts(door: Door, repository_id: str) -> None:
    call_id = ids.new_id(IdPrefix.CALL)
    door.post(f"/repositories/{repository_id}/runs", {"objective": "one"}, Ropeway_Call_Id=call_id)
    before = _record_seen(door)
    answer = door.post(f"/repositories/{repository_id}/runs", {"objective": "other"}, Ropeway_Call_Id=call_id)
    _problem(answer, 409, "idempotency_conflict")
    assert _record_seen(door) == before


def test_a_name_used_twice_returns_what_is_there_and_says_so_by_its_status(door: Door, repository_id: str) -> None:
    first = door.post(f"/repositories/{repository_id}/runs", {"objective": "o", "name": "nightly"})
    again = door.post(f"/repositories/{repository_id}/runs", {"objective": "o", "name": "nightly"})
    assert (first.status_code, first.json()["created"]) == (201, True)
    assert (again.status_code, again.json()["created"]) == (200, False)
    assert first.json()["run"]["run_id"] == again.json()["run"]["run_id"]


def test_who_decided_a_gate_is_on_the_record(door: Door, repository_id: str, run_id: str) -> None:
    step_id = door.submit(repository_id, run_id, gates={"before": True})
    gate_id = door.wait(repository_id, step_id)["gate_id"]
    answer = door.post(
        f"/repositories/{repository_id}/gates/{gate_id}/decide", {"decision": "reject"}, Ropeway_Actor="Ada (console)"
    )
    assert answer.json()["gate"]["decided_by"] == "Ada (console)"


# -- the document


def test_the_document_describes_every_operation_and_what_stands_beside_them(door: Door) -> None:
    document = door.get("/openapi.json")
    assert document["openapi"] == "3.1.0"
    described = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    streams = {"events.lines", "events.stream", "instance.executors.lines", "steps.log.stream"}
    assert described == {*OPERATIONS, *streams, "livez", "mcp", "mcp.call", "openapi"}
    assert json.dumps(document).count('"$ref"') > 20
