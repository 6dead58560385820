"""Request and response bodies of the machine operations.

Requests are strict, views tolerate newer fields. No absolute path stands in any of them. `operations` says which
operation takes and gives which. Tests: tests/contract/test_operations.py.
"""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from local_daemon.protocol import events, ids, limits, manifests, origins, policies, specs, states, wire

Cursor = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_=-]{1,200}$")]
FolderPath = Annotated[wire.Text, StringConstraints(min_length=1, max_length=4096)]


class Empty(wire.WireModel):
    """A body that carries nothing."""


class PageQuery(wire.WireModel):
    """Which page of a list: `cursor` comes from the page before; the list says which way it goes."""

    limit: wire.QueryInteger = Field(default=limits.PAGE_ITEMS_DEFAULT, ge=1, le=limits.PAGE_ITEMS_MAX)
    cursor: Cursor | None = None


class RepositoryListQuery(PageQuery):
    """Repositories, or only the one that holds this folder of the machine, if it is known; or those that are only on
    record any more."""

    path: FolderPath | None = None
    only: Literal["forgotten"] | None = None


class IdListQuery(wire.WireModel):
    """Ids of one noun: those that begin so, or without a beginning whichever are the newest."""

    noun: Literal["run", "step", "gate", "conversation", "artifact"] = "step"
    beginning: Annotated[str, StringConstraints(pattern=ids.BEGINNING_PATTERN)] | None = Field(
        default=None, description="of what stands after the noun and its underscore"
    )
    limit: wire.QueryInteger = Field(default=10, ge=1, le=limits.PAGE_ITEMS_MAX)

    @model_validator(mode="after")
    def _asks_for_no_newest_artifact(self) -> Self:
        if self.noun == "artifact" and self.beginning is None:
            raise ValueError("beginning: an artifact is found by how its id begins, and is the newest of its step only")
        return self


class RunListQuery(PageQuery):
    """Runs, optionally those in one state."""

    state: states.RunState | None = None


class StepOrder(StrEnum):
    """Which end of a run a list of its steps begins at."""

    OLDEST = "oldest"  # in the order they were submitted
    NEWEST = "newest"  # the last one first


class StepListQuery(PageQuery):
    """Steps of a run, optionally those in one state. A cursor goes on in the order it came from."""

    state: states.StepState | None = None
    order: StepOrder = StepOrder.OLDEST


class GateListQuery(PageQuery):
    """Gates, optionally those in one state."""

    state: states.GateState | None = None


class EventFollowQuery(wire.WireModel):
    """Where a follower of events begins."""

    after_seq: wire.QueryInteger = Field(default=0, ge=0, le=limits.SEQ_MAX)


class EventListQuery(EventFollowQuery):
    """Events after a position, oldest first."""

    limit: wire.QueryInteger = Field(default=limits.PAGE_ITEMS_DEFAULT, ge=1, le=limits.PAGE_ITEMS_MAX)


class WaitQuery(wire.WireModel):
    """How long to hold the answer back for something to happen, in seconds."""

    timeout_s: wire.QueryNumber = Field(default=20, ge=0, le=limits.WAIT_S_MAX)


class ContentQuery(wire.WireModel):
    """A byte range: from `offset`, at most `length` bytes (None: to the end)."""

    offset: wire.QueryInteger = Field(default=0, ge=0, le=limits.SEQ_MAX)
    length: wire.QueryInteger | None = Field(default=None, ge=1, le=limits.SEQ_MAX)


class LogQuery(wire.WireModel):
    """Which captured output: the newest attempt's unless one is named."""

    stream: Literal["stdout", "stderr"] = "stdout"
    attempt_id: Annotated[str, StringConstraints(pattern=ids.pattern_for(ids.IdPrefix.ATTEMPT))] | None = None
    offset: wire.QueryInteger = Field(default=0, ge=0, le=limits.SEQ_MAX)
    length: wire.QueryInteger = Field(default=64 * limits.KIB, ge=1, le=limits.INLINE_ANSWER_BYTES // 2)
    wait_s: wire.QueryNumber = Field(
        default=0, ge=0, le=limits.WAIT_S_MAX, description="how long to wait where there is nothing at offset yet"
    )


class RunCreate(wire.WireModel):
    """Opens a run. `name` is a natural key: a repeat returns the run that has it."""

    objective: wire.Goal
    name: specs.RecordName | None = None
    title: wire.Line | None = None
    budget: policies.Budget = Field(default=policies.Budget(), description="of all its attempts together; hard")


class CancelRequest(wire.WireModel):
    """Asks for an end; `reason` is kept on the record."""

    reason: wire.Text = ""


class StepSubmit(wire.WireModel):
    """Queues one step. `name` is a natural key within the run: a repeat returns the step that has it, if the task
    is the same."""

    task: specs.TaskSpec
    name: specs.RecordName | None = None
    provenance: origins.Told = None


class StepResolve(wire.WireModel):
    """A person's word on a step that needs attention."""

    resolution: Literal["failed", "retry", "accept"]
    comment: wire.Text = ""


class GateDecide(wire.WireModel):
    """A decision. Approving names the digest that was shown; answering carries the answer."""

    decision: states.GateDecision
    digest: wire.Sha256 | None = None
    comment: wire.Text = ""
    answer: wire.Text | None = None

    @model_validator(mode="after")
    def _says_what_it_decides_on(self) -> Self:
        if self.decision is states.GateDecision.APPROVE and self.digest is None:
            raise ValueError("digest: an approval names the digest it approves")
        if (self.decision is states.GateDecision.ANSWER) != (self.answer is not None):
            raise ValueError("answer: goes with decision 'answer', and only with it")
        return self


class RepositoryAdd(wire.WireModel):
    """Registers a repository of this machine. Local only, as is everything that carries a path."""

    path: FolderPath
    label: wire.Line | None = None
    folder: wire.Flag = Field(default=False, description="take a folder without git as well")


class RepositoryView(wire.ViewModel):
    """A repository known to a daemon, without saying where it lies; or a folder without git (`is_folder`)."""

    repository_id: str
    label: str
    default_branch: str | None = None
    is_folder: wire.Flag = False
    head_commit: str | None = None
    log_id: str
    head_seq: wire.Integer
    head_hash: str
    created_at: wire.Instant


class InstanceView(wire.ViewModel):
    """One daemon. While it `is_draining` nothing more starts, and it ends with what is `at_work`."""

    instance_id: str
    version: str
    protocol_version: wire.Integer
    hostname: str
    platform: str
    public_key: str
    started_at: wire.Instant
    executors: tuple["ExecutorView", ...] = ()
    environment: tuple[str, ...] | None = Field(
        default=None, description="names of the variables it can give executors, besides the usual few; never a value"
    )
    at_work: wire.Integer = Field(default=0, description="attempts")
    is_draining: wire.Flag = False


class BudgetsView(wire.ViewModel):
    """When an executor tells what it uses, and so when a budget of that can stop it."""

    tokens: states.BudgetHold
    cost_usd: states.BudgetHold


class ExecutorView(wire.ViewModel):
    """Whether an executor can be used here, and why not; a reason beside an available one is a doubt."""

    name: str
    is_available: wire.Flag
    reason: str | None = None
    version: str | None = None
    profiles: tuple[str, ...] = Field(default=(), description="what a task's `profile` may name")
    budgets: BudgetsView | None = Field(default=None, description="how a task's budget is held with it")


class RunView(wire.ViewModel):
    """One objective and where it stands."""

    run_id: str
    repository_id: str
    name: str | None = None
    title: str | None = None
    objective: str
    state: states.RunState
    is_closed: wire.Flag
    step_counts: dict[str, wire.Integer]
    budget: policies.Budget | None = None
    created_at: wire.Instant
    updated_at: wire.Instant


class StepView(wire.ViewModel):
    """One unit of work and where it stands; the TaskSpec itself is kept with the step, not repeated here."""

    step_id: str
    run_id: str
    repository_id: str
    name: str | None = None
    title: str
    executor: str
    state: states.StepState
    resume_to: states.StepState | None = None
    gate_id: str | None = None
    failure: specs.Failure | None = None
    warnings: tuple[str, ...] = ()
    summary: str = ""
    attempts: wire.Integer
    task_digest: str
    patch_sha256: str | None = None
    evidence_digest: str | None = None
    created_at: wire.Instant
    updated_at: wire.Instant
    ended_at: wire.Instant | None = None
    submitted_by: str | None = Field(default=None, description="who asked for it, as the machine's door named them")
    cancelled_by: str | None = Field(default=None, description="who asked it to end")
    retried_by: str | None = Field(default=None, description="who asked for another attempt last")
    resolved_by: str | None = Field(default=None, description="whose word on it, needing attention, was the last")


class AttemptView(wire.ViewModel):
    """One try of a step."""

    attempt_id: str
    step_id: str
    number: wire.Integer
    state: states.AttemptState
    executor: str
    exit_code: wire.Integer | None = None
    failure: specs.Failure | None = None
    summary: str = ""
    base_commit: str | None = None
    head_commit: str | None = None
    ref: str | None = None
    uncommitted: specs.Uncommitted | None = None
    thread_id: str | None = None
    usage: specs.Usage = specs.Usage()
    leased_at: wire.Instant
    started_at: wire.Instant | None = None
    ended_at: wire.Instant | None = None


class GateView(wire.ViewModel):
    """A pause for a decision. `digest` is what an approval must name: the patch's, the task's or the question's."""

    gate_id: str
    run_id: str
    step_id: str
    attempt_id: str | None = None
    kind: states.GateKind
    state: states.GateState
    reason: str
    question: str | None = None
    digest: str
    opened_at: wire.Instant
    expires_at: wire.Instant
    decided_at: wire.Instant | None = None
    decided_by: str | None = None
    comment: str = ""
    answer: str | None = None


class RunAnswer(wire.ViewModel):
    """A run, and whether this very call made it."""

    run: RunView
    created: wire.Flag = False


class StepAnswer(wire.ViewModel):
    """A step, and whether this very call made it. `warnings` say what of the task will not hold as it asks."""

    step: StepView
    created: wire.Flag = False
    warnings: tuple[str, ...] = ()


class StepWait(wire.ViewModel):
    """A step after waiting. `timed_out` says that it had not settled when the time was over."""

    step: StepView
    timed_out: wire.Flag


class GateAnswer(wire.ViewModel):
    """A decided gate and the step it lets go on or stops."""

    gate: GateView
    step: StepView


class IdList(wire.ViewModel):
    """Ids, newest first, and whether there are more."""

    items: tuple[str, ...]
    is_cut: wire.Flag = False


class RepositoryPage(wire.ViewModel):
    """Repositories of a machine, in the order they were added."""

    items: tuple[RepositoryView, ...]
    next_cursor: str | None = None


class RunPage(wire.ViewModel):
    """Runs, newest first."""

    items: tuple[RunView, ...]
    next_cursor: str | None = None


class StepPage(wire.ViewModel):
    """Steps of a run, in the order that was asked for."""

    items: tuple[StepView, ...]
    next_cursor: str | None = None


class AttemptPage(wire.ViewModel):
    """Attempts of a step, oldest first."""

    items: tuple[AttemptView, ...]
    next_cursor: str | None = None


class GatePage(wire.ViewModel):
    """Gates, newest first."""

    items: tuple[GateView, ...]
    next_cursor: str | None = None


class ValidationPage(wire.ViewModel):
    """Checks of a step, all attempts, oldest first."""

    items: tuple[specs.ValidationView, ...]
    next_cursor: str | None = None


class ArtifactPage(wire.ViewModel):
    """Evidence of a step, all attempts, oldest first."""

    items: tuple[specs.ArtifactView, ...]
    next_cursor: str | None = None


class EventPage(wire.ViewModel):
    """Events in order, and where the log stands."""

    repository_id: str
    log_id: str
    items: tuple[events.EventRecord, ...]
    head_seq: wire.Integer


class LogChunk(wire.ViewModel):
    """A piece of captured output as text (undecodable bytes replaced). Offsets count the bytes of all that was said;
    where some of it was not kept, `text` says how much, and `next_offset` is beyond it."""

    stream: Literal["stdout", "stderr"]
    attempt_id: str | None
    offset: wire.Integer
    next_offset: wire.Integer
    size_bytes: wire.Integer
    is_complete: wire.Flag
    text: str


class ManifestStepView(wire.ViewModel):
    """One step of a manifest and where it stands; `waits_for` are those that have not completed."""

    name: str
    step_id: str
    depends_on: tuple[str, ...]
    builds_on: str | None = None
    state: states.StepState
    waits_for: tuple[str, ...]
    attempts: wire.Integer
    gate_id: str | None = None
    failure: specs.Failure | None = None
    not_started_because: str | None = None


class ManifestView(wire.ViewModel):
    """A run that was submitted whole: its plan, and where it stands; submitted just now, with `warnings` of what will
    not hold as it asks."""

    run: RunView
    digest: str
    order: manifests.StepOrder
    on_failure: manifests.OnFailure
    steps: tuple[ManifestStepView, ...]
    created: wire.Flag = False
    warnings: tuple[str, ...] = ()


class TaskView(wire.ViewModel):
    """The TaskSpec a step was submitted with, as recorded."""

    step_id: str
    digest: str
    task: specs.TaskSpec
    held_policies: tuple[policies.Policy, ...] = Field(default=(), description="hold besides the task's own")


class Content(wire.ViewModel):
    """Bytes of an artifact as they travel where bytes cannot: exactly one of `text` and `base64`."""

    artifact_id: str
    media_type: str
    size_bytes: wire.Integer
    sha256: str
    offset: wire.Integer
    length: wire.Integer
    text: str | None = None
    base64: str | None = None
