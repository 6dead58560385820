"""Whatever the MCP SDK refuses leaves in the words of the one table."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_daemon.protocol import errors
from relay.mcp_server.refusals import Worded


async def told(status: int, body: bytes, *, pieces: int = 1) -> tuple[int, dict[bytes, bytes], Any]:
    """The answer of an SDK that says this."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    worded = Worded(send)
    await worded({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"1")]})
    size = max(1, len(body) // pieces)
    cut = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
    for piece in cut[:-1]:
        await worded({"type": "http.response.body", "body": piece, "more_body": True})
    await worded({"type": "http.response.body", "body": cut[-1]})
    assert worded.has_begun
    content = b"".join(message["body"] for message in sent[1:])
    headers = dict(sent[0]["headers"])
    assert int(headers[b"content-length"]) == len(content)
    return sent[0]["status"], headers, json.loads(content)


def spoken(code: int, request_id: Any = 1, **facts: Any) -> bytes:
    error = {"code": code, "message": "No.", **facts}
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "error": error}).encode()


@pytest.mark.parametrize(
    ("status", "code"), [(400, "invalid_request"), (413, "payload_too_large"), (404, "not_found"), (418, "internal")]
)
async def test_plain_text_becomes_a_problem(status: int, code: str) -> None:
    _, headers, problem = await told(status, b"Go away", pieces=3)
    assert headers[b"content-type"] == b"application/problem+json"
    assert problem["code"] == code


async def test_a_refusal_before_any_call_is_a_problem_that_repeats_nothing_sent() -> None:
    for code in (-32700, -32600, -32602):
        status, headers, problem = await told(400, spoken(code, None, message="input_value='hunter2'"))
        assert (status, problem["code"]) == (400, "invalid_request")
        assert headers[b"content-type"] == b"application/problem+json"
        assert "hunter2" not in json.dumps(problem)


@pytest.mark.parametrize(
    ("said", "code"),
    [(-32601, "unsupported_operation"), (-32602, "invalid_request"), (-32603, "internal"), (-32020, "invalid_request")],
)
async def test_a_refused_call_keeps_its_form_and_says_our_code(said: int, code: str) -> None:
    status, _, answer = await told(400, spoken(said))
    assert (status, answer["id"], answer["error"]["code"]) == (400, 1, said)
    assert (answer["error"]["data"]["code"], answer["error"]["data"]["retryable"]) == (code, False)


async def test_what_the_protocol_itself_says_in_a_refusal_stays() -> None:
    _, _, answer = await told(400, spoken(-32022, None, data={"supported": ["2026-07-28"], "requested": "x"}))
    data = answer["error"]["data"]
    assert (data["code"], data["supported"], data["requested"]) == ("protocol_mismatch", ["2026-07-28"], "x")


async def test_an_answer_passes_untouched() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    worded = Worded(send)
    messages = [
        {"type": "http.response.start", "status": 200, "headers": []},
        {"type": "http.response.body", "body": b"x", "more_body": True},
        {"type": "http.response.body", "body": b""},
    ]
    for message in messages:
        await worded(message)
    assert sent == messages


@given(
    status=st.integers(400, 599), body=st.binary(max_size=200) | st.builds(lambda v: json.dumps(v).encode(), st.text())
)
async def test_whatever_is_said_a_code_of_the_table_is_told(status: int, body: bytes) -> None:
    _, _, answer = await told(status, body)
    assert answer["code"] in errors.TABLE
