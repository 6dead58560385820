"""What a CLI's stream has told of its run, and what that and its exit code together mean.

Every adapter reads its own stream into one Transcript; the judgement is made here, once, for all. A run has succeeded
only when the stream says that it finished and the exit code agrees. Called by `command_line` and `acp`.
Tests: tests/unit/daemon/executors/test_transcript.py and the conformance suite.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from local_daemon.executors import failures, jsonl, port, prompts
from local_daemon.processes import children, printed
from local_daemon.protocol import states

MESSAGE_CHARACTERS_MAX = 1024 * 1024
"""Of a message that comes in pieces so much is held; the record keeps far less."""

LISTED_MAX = 1000
"""So many refusals and questions are held; the record keeps far fewer."""

ANSWERS_MAX = 10_000
"""So many answers are held to be told again; what older ones cost stays counted."""

_STDERR_TAIL_BYTES = 16 * 1024
_DETAIL_CHARACTERS = 2000
_NOT_FOUND_EXIT_CODES = frozenset({126, 127})
_Number = TypeVar("_Number", int, float)


@dataclass(slots=True, kw_only=True)
class Transcript:
    """A run, as its stream told it so far. `error` is why it failed, `cause` and `error_status` what is sure of it;
    `refusals` are the tools it was not allowed to use."""

    thread_id: str | None = None
    usage: port.Usage = field(default_factory=port.Usage)
    message: str = ""
    questions: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    error: str | None = None
    error_status: int | None = None
    cause: states.FailureCause | None = None
    is_finished: bool = False
    _answers: dict[str, port.Usage] = field(default_factory=dict)

    def say(self, piece: object) -> None:
        """One more piece of the last message, if it is text."""
        if isinstance(piece, str) and len(self.message) < MESSAGE_CHARACTERS_MAX:
            self.message += piece

    def refuse(self, what: str) -> None:
        """It was not allowed to use this tool."""
        if len(self.refusals) < LISTED_MAX:
            self.refusals.append(what)

    def ask(self, question: str) -> None:
        """It wants to know this first."""
        if len(self.questions) < LISTED_MAX:
            self.questions.append(question)

    def answer(
        self,
        answer_id: str | None,
        *,
        input_tokens: int | None = None,
        cached_input_tokens: int | None = None,
        output_tokens: int | None = None,
    ) -> None:
        """What one answer of the model cost, as it is told so far: told again under its id, it counts once."""
        if answer_id is None:
            return
        before = self._answers.get(answer_id, port.Usage())
        told = port.Usage(
            input_tokens=input_tokens, cached_input_tokens=cached_input_tokens, output_tokens=output_tokens
        )
        self._answers[answer_id] = told
        if len(self._answers) > ANSWERS_MAX:
            del self._answers[next(iter(self._answers))]
        used = self.usage
        self.usage = replace(
            used,
            input_tokens=_retold(used.input_tokens, before.input_tokens, told.input_tokens),
            cached_input_tokens=_retold(used.cached_input_tokens, before.cached_input_tokens, told.cached_input_tokens),
            output_tokens=_retold(used.output_tokens, before.output_tokens, told.output_tokens),
        )

    def answers_done(self) -> None:
        """What follows counts all of the run: what single answers cost is part of it."""
        if self._answers:
            self._answers.clear()
            self.usage = port.Usage(model=self.usage.model, cost_usd=self.usage.cost_usd)

    def spend(
        self,
        *,
        input_tokens: int | None = None,
        cached_input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: float | None = None,
    ) -> None:
        """Add what one more answer of the model cost."""
        used = self.usage
        self.usage = replace(
            used,
            input_tokens=_sum(used.input_tokens, input_tokens),
            cached_input_tokens=_sum(used.cached_input_tokens, cached_input_tokens),
            output_tokens=_sum(used.output_tokens, output_tokens),
            cost_usd=_sum(used.cost_usd, cost_usd),
        )

    def cost(self, total_usd: float | None) -> None:
        """What the run has cost so far."""
        if total_usd is not None:
            self.usage = replace(self.usage, cost_usd=total_usd)

    def model(self, name: str | None) -> None:
        """The model that answers."""
        if name is not None:
            self.usage = replace(self.usage, model=name)

    def fail(self, error: str | None, *, status: int | None = None, cause: states.FailureCause | None = None) -> None:
        """The run failed, in these words."""
        self.error = error or self.error or "it failed without a word"
        self.error_status = self.error_status if status is None else status
        self.cause = cause or self.cause


class Reading:
    """A stream that is read as it comes, one line after the other."""

    def __init__(
        self,
        read: Callable[[Transcript, jsonl.Document], None],
        *,
        counts_thread: frozenset[str] = frozenset(),
        before: port.Usage | None = None,
    ) -> None:
        """`read` is the adapter's; `counts_thread` names the usage that it tells for a whole thread, which had cost
        `before` by then."""
        self._read = read
        self._counts_thread = counts_thread
        self._before = before
        self.told = Transcript()

    def read(self, line: bytes) -> None:
        """One more line, whatever stands in it."""
        document = jsonl.document_read(line)
        if document is not None:
            self._read(self.told, document)

    @property
    def usage(self) -> port.Usage:
        """What the run has used, as far as it was told."""
        used = self.told.usage
        if self._before is None:
            return used
        since = usage_since(used, self._before)
        return replace(used, **{name: getattr(since, name) for name in self._counts_thread})


def report_build(transcript: Transcript, status: children.ExitStatus, *, stderr: Path) -> port.ExecutorReport:
    """The report of a run that has ended."""
    told = port.ExecutorReport(
        outcome=port.Outcome.SUCCEEDED,
        summary=transcript.message,
        thread_id=transcript.thread_id,
        usage=transcript.usage,
        warnings=tuple(f"it was not allowed to use {refusal}" for refusal in transcript.refusals),
    )
    if transcript.error is None and transcript.is_finished and status.is_success:
        questions = tuple(transcript.questions) or prompts.questions_find(transcript.message)
        return replace(told, outcome=port.Outcome.QUESTION, questions=questions) if questions else told
    cause, detail = _why(transcript, status, stderr)
    return replace(
        told,
        outcome=port.Outcome.FAILED,
        cause=cause,
        detail=detail[:_DETAIL_CHARACTERS],
        is_retryable=cause in failures.RETRYABLE,
    )


def _why(transcript: Transcript, status: children.ExitStatus, stderr: Path) -> tuple[states.FailureCause, str]:
    if transcript.error is not None:
        found = failures.cause_of(transcript.error, status=transcript.error_status)
        return transcript.cause or found or states.FailureCause.UNCLEAR, transcript.error
    if status.exit_code in _NOT_FOUND_EXIT_CODES:
        return states.FailureCause.CRASHED, "its program could not be run"
    if transcript.is_finished:
        return states.FailureCause.UNCLEAR, f"it said that it finished, and ended with {status}"
    if status.is_success:
        return states.FailureCause.UNCLEAR, "it ended with exit code 0 without saying that it finished"
    said = tail_read(stderr)
    found = None if status.may_be_signalled else failures.cause_of(said)
    return found or states.FailureCause.CRASHED, f"{status}: {said}" if said else str(status)


def tail_read(path: Path) -> str:
    """The end of a text file that anybody may have written, without blank lines."""
    with printed.printed_open(path) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _STDERR_TAIL_BYTES))
        content = file.read().decode("utf-8", errors="replace")
    lines = [line.rstrip() for line in content.splitlines() if line.strip()]
    return "\n".join(lines)[-_DETAIL_CHARACTERS:]


def usage_since(total: port.Usage, before: port.Usage) -> port.Usage:
    """What a run cost, from what its whole thread cost and what that had cost before: unknown where either is."""
    return port.Usage(
        model=total.model,
        input_tokens=_difference(total.input_tokens, before.input_tokens),
        cached_input_tokens=_difference(total.cached_input_tokens, before.cached_input_tokens),
        output_tokens=_difference(total.output_tokens, before.output_tokens),
        cost_usd=_difference(total.cost_usd, before.cost_usd),
    )


def _retold(total: int | None, before: int | None, told: int | None) -> int | None:
    if before is None and told is None:
        return total
    return min((total or 0) - (before or 0) + (told or 0), jsonl.TOKENS_MAX)


def _sum(one: _Number | None, other: _Number | None) -> _Number | None:
    """What both are together, as far as every reader of the record can hold it."""
    return other if one is None else one if other is None else min(one + other, type(one)(jsonl.TOKENS_MAX))


def _difference(total: _Number | None, before: _Number | None) -> _Number | None:
    return None if total is None or before is None or total < before else total - before
