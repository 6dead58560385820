"""Which talk with an executor's model an attempt goes on with: the one in which its step was asked a question, or that
of the turn before in a conversation.

A retry begins anew, in a worktree as it was before; only an answer and a turn belong to a thread. Called by `workshop`.
Tests: tests/integration/daemon/executors/.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from local_daemon.attempts import selectors as attempts
from local_daemon.attempts.records import Attempt
from local_daemon.conversations import selectors as conversations
from local_daemon.executors import port as executor_port
from local_daemon.protocol import ids
from local_daemon.steps.records import Step
from local_daemon.storage.database import Connection

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The attempt that asked, and what its thread has cost by now. Unknown cost of any part makes the whole unknown."""

    attempt_id: ids.AttemptId
    question: str | None
    thread_id: str | None
    usage: executor_port.Usage

    def thread(self, *, worktree: Path) -> executor_port.Thread | None:
        """The thread, if the executor named one."""
        if self.thread_id is None:
            return None
        return executor_port.Thread(thread_id=self.thread_id, worktree=worktree, usage=self.usage)


def asked_find(conn: Connection, *, step: Step, attempt: Attempt) -> Asked | None:
    """Where the step's answer belongs; None where it has none."""
    if step.answer is None:
        return None
    earlier = [each for each in attempts.attempts_list(conn, step.step_id) if each.number < attempt.number]
    asking = next((each for each in reversed(earlier) if each.question is not None), None)
    if asking is None:
        return None
    talk = [each for each in earlier if each.thread_id == asking.thread_id]
    return Asked(
        attempt_id=asking.attempt_id,
        question=asking.question,
        thread_id=_thread_id(asking, of=attempt),
        usage=_usage_sum(talk),
    )


def continued_find(conn: Connection, *, step: Step, attempt: Attempt) -> Asked | None:
    """The attempt whose thread this one goes on with; None where it begins one."""
    asked = asked_find(conn, step=step, attempt=attempt)
    turn = conversations.turn_of_step(conn, step.step_id)
    if asked is not None or turn is None or turn.continues_attempt_id is None:
        return asked
    before = attempts.attempt_get(conn, turn.continues_attempt_id)
    talk = [
        each
        for earlier in conversations.turns_of(conn, turn.conversation_id)
        if earlier.number < turn.number
        for each in attempts.attempts_list(conn, earlier.step_id)
        if each.thread_id == before.thread_id
    ]
    return Asked(
        attempt_id=before.attempt_id,
        question=None,
        thread_id=_thread_id(before, of=attempt),
        usage=_usage_sum(talk),
    )


def _thread_id(before: Attempt, *, of: Attempt) -> str | None:
    """The thread to go on with: none, where another executor held it."""
    return before.thread_id if before.executor == of.executor else None


def taken_up(attempt: Attempt, *, changed: bool) -> bool:
    """Whether an attempt that failed had got as far as its thread: it spent something, or did something."""
    return changed or attempt.usage.output_tokens is not None


def _usage_sum(talk: list[Attempt]) -> executor_port.Usage:
    spent = [each.usage for each in talk]
    return executor_port.Usage(
        input_tokens=_sum([usage.input_tokens for usage in spent]),
        cached_input_tokens=_sum([usage.cached_input_tokens for usage in spent]),
        output_tokens=_sum([usage.output_tokens for usage in spent]),
        cost_usd=_sum([usage.cost_usd for usage in spent]),
    )


def _sum(values: list[_Number | None]) -> _Number | None:
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if known and len(known) == len(values) else None
