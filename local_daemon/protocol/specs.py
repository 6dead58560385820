"""TaskSpec in, ResultSpec out: the two contracts between a planner and a step, version 1.

Both are strict: an unknown field is an error, because a misspelt `forbidden_paths` must not become no fence at all.
Nothing here reads files or decides anything. JSON Schemas are published from these classes.
Tests: tests/unit/daemon/protocol/test_specs.py.
"""

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from local_daemon.protocol import ids, limits, policies, states, wire

ExecutorName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
RecordName = Annotated[str, StringConstraints(pattern=ids.NAME_PATTERN)]

_REVISION_PATTERN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$")


def _plain_revision(name: str) -> str:
    if not _REVISION_PATTERN.fullmatch(name) or ".." in name or name.endswith((".lock", "/")):
        raise ValueError("must be a plain branch, tag or commit name")
    return name


Revision = Annotated[str, AfterValidator(_plain_revision)]
"""A branch, tag or commit as a planner may name it: nothing git would take for an option, a range or a path."""


class ValidationSpec(wire.WireModel):
    """One check: a command line run by `sh -c` in the worktree after the executor; exit code 0 passes."""

    name: RecordName
    command: wire.Text = Field(min_length=1)
    timeout_s: wire.Integer = Field(default=limits.VALIDATION_TIMEOUT_S_DEFAULT, ge=1, le=limits.STEP_TIMEOUT_S_MAX)


class AfterGate(StrEnum):
    """When finished changes wait for approval."""

    NEVER = "never"  # only if a policy says so
    ALWAYS = "always"  # whatever the changes are


class GateRules(wire.WireModel):
    """Which decisions the planner asks for, beyond those a policy asks for."""

    before: wire.Flag = False
    after: AfterGate = AfterGate.NEVER
    expires_s: wire.Integer = Field(default=limits.GATE_EXPIRY_S_DEFAULT, ge=1, le=90 * 86_400)


class Fallback(wire.WireModel):
    """Who makes another attempt. The task's `params` are its first executor's, and go to no other."""

    executor: ExecutorName
    profile: ExecutorName | None = None


class RetryRule(wire.WireModel):
    """When a failed attempt is followed by another by itself. The executor changes only where `fallback` names others;
    an attempt that a person asks for is the first executor's again."""

    max_attempts: wire.Integer = Field(default=1, ge=1, le=5)
    on: tuple[states.FailureKind, ...] = ()
    delay_s: wire.Integer = Field(default=0, ge=0, le=3600)
    # Left out where it names nobody: a task's digest is then what it was before there was a fallback, and a daemon
    # that knows none takes the task.
    fallback: tuple[Fallback, ...] = Field(
        default=(),
        max_length=4,
        exclude_if=lambda others: not others,
        description="who makes the second attempt, the third and so on; the last one stays",
    )


class TaskContext(wire.WireModel):
    """What the planner wants the executor to know besides the goal."""

    summary: wire.Text = ""


class TaskSpec(wire.WireModel):
    """One unit of work, as a planner states it."""

    version: Literal["v1"] = "v1"
    goal: wire.Goal
    title: wire.Line | None = None
    executor: ExecutorName
    profile: ExecutorName | None = Field(
        default=None, description="how the executor is run: a profile of the machine's operator"
    )
    patch: wire.PatchText | None = Field(default=None, description="unified diff, for the `patch` executor")
    params: wire.JsonObject = Field(default_factory=dict, description="executor-specific settings")
    context: TaskContext = TaskContext()
    constraints: tuple[wire.Text, ...] = Field(default=(), max_length=limits.LIST_ITEMS)
    acceptance: tuple[wire.Text, ...] = Field(default=(), max_length=limits.LIST_ITEMS)
    allowed_paths: tuple[policies.PathPattern, ...] = Field(default=(), max_length=limits.LIST_ITEMS)
    forbidden_paths: tuple[policies.PathPattern, ...] = Field(default=(), max_length=limits.LIST_ITEMS)
    validations: tuple[ValidationSpec, ...] = Field(default=(), max_length=limits.LIST_ITEMS)
    gates: GateRules = GateRules()
    retry: RetryRule = RetryRule()
    policy: policies.Policy = Field(
        default=policies.Policy(), description="holds beside the operator's and the repository's own"
    )
    budget: policies.Budget = Field(default=policies.Budget(), description="of all attempts together; hard")
    timeout_s: wire.Integer = Field(default=limits.STEP_TIMEOUT_S_DEFAULT, ge=1, le=limits.STEP_TIMEOUT_S_MAX)
    stall_timeout_s: wire.Integer | None = Field(
        default=None,
        ge=0,
        le=limits.STEP_TIMEOUT_S_MAX,
        description="how long the executor may print nothing before it is ended; 0 for ever, default its profile's",
    )
    base: Revision | None = Field(default=None, description="branch, tag or commit to start from; default HEAD")

    @field_validator("params")
    @classmethod
    def _params_are_small(cls, params: dict[str, Any]) -> dict[str, Any]:
        if len(wire.canonical_json(params)) > limits.GOAL_BYTES:
            raise ValueError(f"longer than {limits.GOAL_BYTES} bytes")
        return params

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        names = [validation.name for validation in self.validations]
        if len(set(names)) != len(names):
            raise ValueError("validations: each needs a name of its own")
        if (self.patch is not None) != (self.executor == "patch"):
            raise ValueError("patch: goes with executor 'patch', and only with it")
        if len(self.retry.fallback) >= self.retry.max_attempts:
            raise ValueError("retry.fallback: names more than retry.max_attempts allows further attempts")
        if any(fallback.executor == "patch" for fallback in self.retry.fallback):
            raise ValueError("retry.fallback: 'patch' works on no goal")
        return self

    def fallen_back(self, to: Fallback) -> "TaskSpec":
        """The task as that executor gets it."""
        params = self.params if to.executor == self.executor else {}
        return self.model_copy(update={"executor": to.executor, "profile": to.profile, "params": params})

    def digest(self) -> str:
        """The SHA-256 of the canonical form: what a gate before work binds."""
        return wire.body_digest(self.model_dump(mode="json"))


class Failure(wire.ViewModel):
    """Why a step failed."""

    kind: states.FailureKind
    cause: states.FailureCause | None = Field(
        default=None, description="for kinds `executor`, `policy` and `timeout`, where it is known"
    )
    detail: str
    retryable: wire.Flag = False


class ChangedFile(wire.ViewModel):
    """One path an attempt changed. `status` is git's letter; counts are None for binary content."""

    path: str
    old_path: str | None = None
    status: Literal["A", "M", "D", "R", "C", "T"]
    additions: wire.Integer | None = None
    deletions: wire.Integer | None = None


class ArtifactView(wire.ViewModel):
    """One piece of immutable evidence; its content is fetched by id and checked against `sha256`."""

    artifact_id: str
    step_id: str
    attempt_id: str
    kind: str
    name: str
    media_type: str
    size_bytes: wire.Integer
    sha256: str
    created_at: wire.Instant
    expired_at: wire.Instant | None = Field(default=None, description="when the machine's retention let its bytes go")


class ValidationView(wire.ViewModel):
    """One check and its verdict; its output is an artifact."""

    validation_id: str
    step_id: str
    attempt_id: str
    name: str
    command: str
    verdict: states.ValidationVerdict
    exit_code: wire.Integer | None = None
    duration_ms: wire.Integer
    stdout_artifact_id: str | None = None
    stderr_artifact_id: str | None = None


class Usage(wire.ViewModel):
    """What an attempt cost, from the executor's own report; None is unknown, never zero."""

    input_tokens: wire.Integer | None = None
    cached_input_tokens: wire.Integer | None = Field(default=None, description="of the input_tokens")
    output_tokens: wire.Integer | None = None
    cost_usd: wire.Number | None = None
    model: str | None = None
    is_partial: wire.Flag = Field(default=False, description="told before it was ended; it may have used more")


class Uncommitted(wire.ViewModel):
    """What the operator's checkout held that was not committed when an attempt began at its HEAD: the attempt saw none
    of it. A folder of nothing but new files counts as one."""

    changed: wire.Integer = Field(description="files that the commit has otherwise")
    untracked: wire.Integer = Field(description="files and folders that it has not, and that no rule ignores")

    @property
    def total(self) -> int:
        """Both together."""
        return self.changed + self.untracked


class EvidenceView(wire.ViewModel):
    """The signed manifest of an attempt: `digest` is the SHA-256 of the manifest artifact, signed with Ed25519."""

    artifact_id: str
    digest: str
    signature: str
    public_key: str


class ResultSpec(wire.ViewModel):
    """What a step came to, at any time: before its first attempt it just says the state."""

    version: Literal["v1"] = "v1"
    run_id: str
    step_id: str
    attempt_id: str | None = None
    attempt_number: wire.Integer = 0
    state: states.StepState
    executor: str
    summary: str = ""
    failure: Failure | None = None
    warnings: tuple[str, ...] = ()
    question: str | None = None
    gate_id: str | None = None
    base_commit: str | None = None
    uncommitted: Uncommitted | None = Field(default=None, description="None where the base was named, or nobody knows")
    head_commit: str | None = None
    ref: str | None = None
    patch: ArtifactView | None = None
    changes: tuple[ChangedFile, ...] = ()
    changes_total: wire.Integer = 0
    validations: tuple[ValidationView, ...] = ()
    artifacts: tuple[ArtifactView, ...] = ()
    usage: Usage = Usage()
    evidence: EvidenceView | None = None
    started_at: wire.Instant | None = None
    ended_at: wire.Instant | None = None
    duration_ms: wire.Integer | None = None
