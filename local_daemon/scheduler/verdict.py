"""What an attempt's end means for its step: completed, failed, tried again, or waiting for a decision.

Pure: everything that was found out goes in, one verdict comes out. The order of the questions is the whole design: what
a person must look at outranks a cancel, a cancel a failure, a failure a question, checks outrank approval. Applied by
`conclusion`.
Tests: tests/unit/daemon/scheduler/test_verdict.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from local_daemon.protocol import specs, states
from local_daemon.protocol.policies import Reaction


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One validation as far as the verdict cares. `detail` is why it gave no answer of its own, where that is known."""

    name: str
    verdict: states.ValidationVerdict
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest:
    """A decision to ask for. `digest` is what an approval must name."""

    kind: states.GateKind
    reason: str
    digest: str
    question: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything known about an attempt that has ended. `policy_*` are None where no rule objects; `attention` is what
    a person has to look at before anything else happens; `overspent` is what was used beyond a budget."""

    attempt_number: int
    attention: specs.Failure | None
    failure: specs.Failure | None
    question: str | None
    question_digest: str | None
    checks: Sequence[CheckResult]
    policy_failure: str | None
    policy_gate: str | None
    patch_sha256: str | None
    is_cancelled: bool
    overspent: specs.Failure | None = None
    overspent_gate: str | None = None
    checks_reaction: Reaction = Reaction.FAIL
    questions_reaction: Reaction = Reaction.GATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What happens to the step. `retry_delay_s` goes with RETRY, `gate` with GATED, `failure` with FAILED and RETRY.
    `falls_back`: the task's own rule asks for the next attempt, and may name who makes it."""

    event: states.StepEvent
    failure: specs.Failure | None = None
    gate: GateRequest | None = None
    retry_delay_s: int | None = None
    falls_back: bool = False


def verdict_reach(task: specs.TaskSpec, found: Findings) -> Verdict:
    """The verdict on one attempt of the task."""
    if found.attention is not None:
        return Verdict(event=states.StepEvent.LOST, failure=found.attention)
    if found.is_cancelled:
        return Verdict(event=states.StepEvent.CANCELLED)
    failure = (
        found.failure
        or found.overspent
        or _question_failure(found)
        or _check_failure(found)
        or _policy_failure(found.policy_failure)
    )
    if failure is not None:
        return failure_verdict(task, failure, attempt_number=found.attempt_number)
    gate = _gate_wanted(task, found)
    if gate is not None:
        return Verdict(event=states.StepEvent.GATED, gate=gate)
    return Verdict(event=states.StepEvent.SUCCEEDED)


def failure_verdict(task: specs.TaskSpec, failure: specs.Failure, *, attempt_number: int) -> Verdict:
    """Failed, or tried again if the task's own rule says so for this kind of failure."""
    if failure.kind in task.retry.on and attempt_number < task.retry.max_attempts:
        return Verdict(event=states.StepEvent.RETRY, failure=failure, retry_delay_s=task.retry.delay_s, falls_back=True)
    return Verdict(event=states.StepEvent.FAILED, failure=failure)


def _question_failure(found: Findings) -> specs.Failure | None:
    if found.question is None or found.questions_reaction is not Reaction.FAIL:
        return None
    return specs.Failure(kind=states.FailureKind.POLICY, detail=f"a policy takes no questions; asked: {found.question}")


def _check_failure(found: Findings) -> specs.Failure | None:
    bad = _checks_said(found.checks)
    # Without a digest there is nothing that an approval could name.
    if bad is None or (found.checks_reaction is Reaction.GATE and found.patch_sha256 is not None):
        return None
    return specs.Failure(kind=states.FailureKind.VALIDATION, detail=bad)


def _checks_said(checks: Sequence[CheckResult]) -> str | None:
    bad = [check for check in checks if check.verdict is not states.ValidationVerdict.PASSED]
    if not bad:
        return None
    detail = ", ".join(
        f"{check.name} {check.verdict}" + (f" ({check.detail})" if check.detail else "") for check in bad
    )
    return f"{len(bad)} of {len(checks)} validations did not pass: {detail}"


def _policy_failure(detail: str | None) -> specs.Failure | None:
    return None if detail is None else specs.Failure(kind=states.FailureKind.POLICY, detail=detail)


def _gate_wanted(task: specs.TaskSpec, found: Findings) -> GateRequest | None:
    if found.question is not None and found.question_digest is not None:
        return GateRequest(
            kind=states.GateKind.QUESTION,
            reason="the executor asks",
            digest=found.question_digest,
            question=found.question,
        )
    if found.patch_sha256 is None:
        return None
    reasons = [reason for reason in (_checks_said(found.checks), found.overspent_gate, found.policy_gate) if reason]
    if reasons:
        return GateRequest(kind=states.GateKind.AFTER, reason=" ".join(reasons), digest=found.patch_sha256)
    if task.gates.after is specs.AfterGate.ALWAYS:
        reason = "the task asks for approval of its changes"
        return GateRequest(kind=states.GateKind.AFTER, reason=reason, digest=found.patch_sha256)
    return None
