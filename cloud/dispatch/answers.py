"""The answer to a call, between its row and its caller. Pure.

Tests: tests/integration/cloud/dispatch/.
"""

import json
from typing import Any

from cloud.dispatch.models import OperationCall
from local_daemon.protocol import errors, limits
from local_daemon.protocol.states import CallState
from relay.calls import Answer


def is_retryable(code: str) -> bool:
    """Whether an answer with this error code lets the same call go again; a success does not."""
    return code in errors.TABLE and errors.TABLE[code].retryable


def answer_of(row: OperationCall) -> Answer:
    """What the row says came of the call: its answer, or why there is none."""
    if row.state == CallState.ANSWERED:
        return _recorded(row)
    if row.state in (CallState.EXPIRED, CallState.CANCELLED):
        retry_after_s = limits.RETRY_AFTER_S["connector_offline"]
        return Answer.refusal(errors.ConnectorOffline(retry_after_s=retry_after_s, call_id=row.id))
    return Answer.refusal(
        errors.DeadlineExceeded(retry_after_s=limits.RETRY_AFTER_S["deadline_exceeded"], call_id=row.id)
    )


def _recorded(row: OperationCall) -> Answer:
    status = row.answer_status or errors.TABLE["internal"].http
    if not row.answer:
        gone = errors.Expired("The call was answered, but its answer is not kept any more.", call_id=row.id)
        return Answer.refusal(gone)
    found: Any = json.loads(row.answer)
    if row.answer_code:
        return Answer(status=status, problem=found)
    return Answer(status=status, body=found)


def answer_text(answer: Answer) -> str:
    """What is kept of an answer: its problem or its body, as ASCII JSON, so that any character can be kept."""
    return json.dumps(answer.problem if answer.problem is not None else answer.body, separators=(",", ":"))


def answer_code(answer: Answer) -> str:
    """The error's code; empty for a success."""
    if answer.problem is None:
        return ""
    code = str(answer.problem.get("code"))
    return code if code in errors.TABLE else errors.Internal.code
