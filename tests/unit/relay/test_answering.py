"""Whatever a machine answers, a planner is told something that its surface can tell."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_daemon.protocol import envelopes, errors, ids
from relay import answering
from relay.calls import Answer, Call

CALL_ID = "call_" + "0" * 26
CONTENT = envelopes.StreamHead(media_type="text/plain", size_bytes=1)
BODY = envelopes.StreamHead(media_type="application/json", is_body=True)


def call(operation: str = "runs.get") -> Call:
    return Call(
        call_id=CALL_ID, operation=operation, parameters={}, query={}, body=None,
        deadline_at=datetime.now(UTC), actor="token:x",
    )  # fmt: skip


def response(**facts: Any) -> envelopes.Response:
    return envelopes.Response(call_id=CALL_ID, **{"status": 200, **facts})


def answer_of(said: envelopes.Response, operation: str = "runs.get") -> Answer | None:
    return answering.answer_of(said, call(operation), is_json=answering.is_json(envelopes.encode(said)))


def code_of(answer: Answer | None) -> str:
    assert answer is not None
    assert answer.problem is not None
    return str(answer.problem["code"])


def test_a_body_is_the_answer() -> None:
    answer = answer_of(response(body={"run": 1}))
    assert answer is not None
    assert (answer.status, answer.body, answer.problem) == (200, {"run": 1}, None)


@pytest.mark.parametrize("status", [100, 101, 204, 205, 304, 404, 500])
def test_a_status_that_no_answer_has_is_not_passed_on(status: int) -> None:
    assert code_of(answer_of(response(status=status, body={}))) == "internal"


@pytest.mark.parametrize(
    ("said", "operation"),
    [
        (response(stream=CONTENT), "runs.get"),
        (response(body={}), "artifacts.content"),
        (response(stream=BODY), "artifacts.content"),
        (response(stream=CONTENT, status=202), "artifacts.content"),
    ],
)
def test_content_comes_where_it_was_asked_for_and_only_there(said: envelopes.Response, operation: str) -> None:
    assert code_of(answer_of(said, operation)) == "internal"


def test_what_follows_as_a_stream_is_no_answer_yet() -> None:
    assert answer_of(response(stream=CONTENT), "artifacts.content") is None
    assert answer_of(response(stream=BODY)) is None


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_what_only_python_reads_is_not_passed_on(constant: str) -> None:
    message = f'{{"type":"response","call_id":"{CALL_ID}","status":200,"body":{{"x":{constant}}}}}'
    frame = envelopes.decode(message)
    assert isinstance(frame, envelopes.Response)
    answer = answering.answer_of(frame, call(), is_json=answering.is_json(message))
    assert code_of(answer) == "internal"
    assert answering.is_json(json.dumps({"x": constant}))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_PROBLEMS = st.dictionaries(
    st.sampled_from(["code", "detail", "title", "retryable", "retry_after_s", "attributes", "status"]), _JSON
)


@given(problem=_PROBLEMS, status=st.integers(100, 599))
def test_any_problem_of_a_machine_is_an_error_of_the_table(problem: dict[str, Any], status: int) -> None:
    answer = answering.answer_of(response(status=status, problem=problem), None, is_json=True)
    assert answer is not None
    assert answer.status == errors.TABLE[code_of(answer)].http
    with pytest.raises(errors.RopewayError):
        answer.raised()


def test_the_call_ids_of_these_tests_are_ids() -> None:
    assert ids.is_id(ids.IdPrefix.CALL, CALL_ID)
