"""What a machine may answer, and what is made of it when it answers anything else.

A machine is not trusted to be well: what it says reaches a planner only as an answer that the planner's surface can
give. Deliberately without a look at the body's fields: those are between planner and machine. Called by `links`.
Tests: tests/unit/relay/test_answering.py.
"""

import json
from typing import NoReturn

from local_daemon.protocol import envelopes, errors, limits
from local_daemon.protocol.operations import REMOTE_OPERATIONS
from relay import contents
from relay.calls import Answer, Call
from relay.streams import IncomingStream

_WITHOUT_BODY = frozenset({204, 205})
_OF_CONTENT = frozenset({200, 206})
_NO_ANSWER = "The machine's answer makes no sense."
_NOT_JSON = "The machine's answer is not JSON."


def is_json(message: str | bytes) -> bool:
    """Whether a frame's text is JSON to every reader: Python's own takes NaN and infinities, most others do not."""
    if isinstance(message, bytes) or ("NaN" not in message and "Infinity" not in message):
        return True
    try:
        json.loads(message, parse_constant=_refuse_constant)
    except ValueError:
        return False
    return True


def answer_of(response: envelopes.Response, call: Call | None, *, is_json: bool) -> Answer | None:
    """The answer in a response; None where it follows as a stream. `call` is what it answers, where that is known."""
    if not is_json:
        return Answer.refusal(errors.Internal(_NOT_JSON))
    if response.problem is not None:
        return Answer.refusal(errors.from_problem(response.problem))
    is_success = 200 <= response.status < 300 and response.status not in _WITHOUT_BODY
    if not is_success or not _is_of_its_kind(response, call):
        return Answer.refusal(errors.Internal(_NO_ANSWER))
    return Answer(status=response.status, body=response.body) if response.stream is None else None


def _is_of_its_kind(response: envelopes.Response, call: Call | None) -> bool:
    """Whether content comes where content was asked for, and only there."""
    operation = REMOTE_OPERATIONS.get(call.operation) if call is not None else None
    is_content = response.stream is not None and not response.stream.is_body
    if is_content and response.status not in _OF_CONTENT:
        return False
    return operation is None or operation.streams == is_content


async def answer_gathered(response: envelopes.Response, stream: IncomingStream, call: Call | None) -> Answer:
    """The answer that follows as a stream, whole."""
    try:
        content = await stream.read(max_bytes=limits.BODY_BYTES)
        if stream.head.is_body:
            return Answer(status=response.status, body=json.loads(content, parse_constant=_refuse_constant))
    except errors.RopewayError as error:
        return Answer.refusal(error)
    except (ValueError, RecursionError):
        return Answer.refusal(errors.Internal(_NOT_JSON))
    artifact_id = call.parameters.get("artifact_id", "") if call else ""
    return Answer(status=response.status, body=contents.content_view(stream.head, content, artifact_id=artifact_id))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
