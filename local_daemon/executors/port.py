"""What an executor is to the daemon: it says how to start one process, and what that process's end means.

An executor never starts, ends or waits for anything itself: the process goes through the latch, so it is recorded
before it runs and counted once. Deliberately free of TaskSpec and storage; the scheduler fills ExecutorTask and writes
down the ExecutorReport. Implemented by one file an executor. Tests: tests/unit/daemon/executors/.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from local_daemon.executors import profiles
from local_daemon.processes import children
from local_daemon.protocol import states


class TaskUnsuitable(Exception):
    """This executor can't take the task as it is stated; correct its patch, params or profile and submit it again."""


class AvailabilityStatus(StrEnum):
    """Whether an executor can work on this machine."""

    AVAILABLE = "available"  # its program answers
    MISSING = "missing"  # its program is not installed, or not on the PATH
    OUTDATED = "outdated"  # its program is older than what it is asked to do
    UNUSABLE = "unusable"  # its program is there and fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """Whether an executor can work, why not, and in which version. A reason beside `available` is a doubt. What is not
    yet `is_asked` is only what could be seen without starting its program."""

    status: AvailabilityStatus
    reason: str = ""
    version: str | None = None
    is_asked: bool = True

    @property
    def is_available(self) -> bool:
        """Whether it can be asked to work."""
        return self.status is AvailabilityStatus.AVAILABLE

    @property
    def is_doubtful(self) -> bool:
        """Whether it may be otherwise although its program is the same: it fails, or lacks a login."""
        return self.status is AvailabilityStatus.UNUSABLE or (self.is_available and bool(self.reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a run cost by the executor's own account; None is unknown, never zero. `input_tokens` are all of them,
    `cached_input_tokens` those among them that came from a cache."""

    model: str | None = None
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """How a budget of tokens, and one of dollars, is held with an executor."""

    tokens: states.BudgetHold
    cost_usd: states.BudgetHold


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """The talk with an executor's model that an attempt continues: its id, where it was held, and what it had cost."""

    thread_id: str
    worktree: Path
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a planner says besides the goal, for those executors that can be told."""

    context: str = ""
    constraints: tuple[str, ...] = ()
    acceptance: tuple[str, ...] = ()
    allowed_paths: tuple[str, ...] = ()
    forbidden_paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorTask:
    """One attempt, as an executor sees it. `scratch` is the attempt's own directory outside the worktree, there
    already; `answer` is what a person or planner replied to `question`, which the attempt before asked in `thread`;
    `repository` is the folder that the worktree was made from; `budget_usd` is what is left of its budgets; with `key`,
    which is its step's own, it names what must not be shown."""

    attempt_id: str
    worktree: Path
    scratch: Path
    goal: str
    timeout_s: int
    patch: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    question: str | None = None
    answer: str | None = None
    thread: Thread | None = None
    profile: profiles.Profile | None = None
    repository: Path | None = None
    budget_usd: float | None = None
    key: bytes | None = field(default=None, repr=False)
    surroundings: Surroundings = Surroundings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """The one process of an attempt. `files` (in scratch) are written before it starts; of the operator's environment
    it sees `passed_names` beside the usual few, and `values`."""

    argv: tuple[str, ...]
    stdin: Path | None = None
    files: Mapping[Path, bytes] = field(default_factory=dict)
    passed_names: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)


class Outcome(StrEnum):
    """What an executor's run came to, by its own account."""

    SUCCEEDED = "succeeded"  # it did what was asked
    FAILED = "failed"  # it did not
    QUESTION = "question"  # it needs an answer first


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorReport:
    """What a run came to. `failure_kind`, `cause` and `detail` say why it failed, `questions` what it asks."""

    outcome: Outcome
    summary: str = ""
    failure_kind: states.FailureKind = states.FailureKind.EXECUTOR
    cause: states.FailureCause | None = None
    detail: str = ""
    is_retryable: bool = False
    questions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    thread_id: str | None = None
    usage: Usage = Usage()


class Executor(Protocol):
    """A program that changes a worktree."""

    @property
    def name(self) -> str:
        """What a TaskSpec calls it."""
        ...

    async def availability(self) -> Availability:
        """Whether it can work here now. Cheap to ask again: probes are remembered while the program is the same."""
        ...

    def prepare(self, task: ExecutorTask) -> Launch:
        """The process for this task. Starts nothing. Raises TaskUnsuitable."""
        ...

    def interpret(
        self, status: children.ExitStatus, *, stdout: Path, stderr: Path, task: ExecutorTask
    ) -> ExecutorReport:
        """What the end of that process means. Never called for one that the daemon ended (timeout, cancel)."""
        ...


@runtime_checkable
class Seen(Executor, Protocol):
    """An executor that works with a program which lies somewhere."""

    def presence(self) -> Availability:
        """What can be said of it without starting anything: its program looked for now, the rest from memory."""
        ...


@runtime_checkable
class Installed(Executor, Protocol):
    """An executor that looks for its program by name."""

    @property
    def program(self) -> str:
        """The name it is looked for by on the PATH, or its path."""
        ...


@runtime_checkable
class Profiled(Seen, Protocol):
    """An executor whose command line an operator's profile can change."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The environment names it is given whose values no log may show."""
        ...

    @property
    def passed_names(self) -> tuple[str, ...]:
        """The names of the operator's environment that it is given, besides the usual few and its profile's."""
        ...

    def program_find(self) -> str | None:
        """Where its program lies now; None where it is not found, or there is none."""
        ...

    @property
    def budgets(self) -> Budgets:
        """How a task's budget is held with it."""
        ...

    def profile_check(self, profile: profiles.Profile) -> None:
        """Whether it can keep the profile. Raises TaskUnsuitable."""
        ...


class Reading(Protocol):
    """An executor's output, read as it comes."""

    def read(self, line: bytes) -> None:
        """One more line."""
        ...

    @property
    def usage(self) -> Usage:
        """What it has told of its usage by then; nothing of it is final."""
        ...


@runtime_checkable
class Metered(Executor, Protocol):
    """An executor that tells what it uses in lines of its output."""

    def reading(self, task: ExecutorTask) -> Reading:
        """The output of this task's run, from its beginning."""
        ...


@runtime_checkable
class Versioned(Executor, Protocol):
    """An executor whose program tells its version when asked."""

    async def version(self, profile: profiles.Profile | None) -> str | None:
        """Of the program that runs with this profile; remembered while that is the same."""
        ...

    def version_seen(self, profile: profiles.Profile | None) -> str | None:
        """What is remembered of it."""
        ...


@runtime_checkable
class Remote(Executor, Protocol):
    """An executor whose process only speaks with what does the work, which doesn't end with it."""

    def is_over(self, *, stdout: Path) -> bool:
        """Whether nothing that the process began elsewhere goes on, as far as its output proves."""
        ...
