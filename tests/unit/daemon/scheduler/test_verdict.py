"""The verdict on an attempt, and the order of its questions."""

from dataclasses import replace

import pytest

from local_daemon.protocol import specs, states
from local_daemon.scheduler import verdict

TASK = specs.TaskSpec(goal="g", executor="fake-success")
FOUND = verdict.Findings(
    attention=None,
    attempt_number=1,
    failure=None,
    question=None,
    question_digest=None,
    checks=(),
    policy_failure=None,
    policy_gate=None,
    patch_sha256="0" * 64,
    is_cancelled=False,
)
EXECUTOR_FAILED = specs.Failure(kind=states.FailureKind.EXECUTOR, detail="exit code 1")


def test_nothing_wrong_completes_the_step() -> None:
    assert verdict.verdict_reach(TASK, FOUND).event is states.StepEvent.SUCCEEDED


def test_a_cancel_outranks_a_failure() -> None:
    found = replace(FOUND, failure=EXECUTOR_FAILED, is_cancelled=True)
    assert verdict.verdict_reach(TASK, found).event is states.StepEvent.CANCELLED


def test_what_a_person_must_look_at_outranks_even_a_cancel() -> None:
    attention = specs.Failure(kind=states.FailureKind.POLICY, detail="look")
    reached = verdict.verdict_reach(TASK, replace(FOUND, attention=attention, is_cancelled=True))
    assert (reached.event, reached.failure) == (states.StepEvent.LOST, attention)


def test_a_failure_without_a_rule_fails_the_step() -> None:
    reached = verdict.verdict_reach(TASK, replace(FOUND, failure=EXECUTOR_FAILED))
    assert (reached.event, reached.failure) == (states.StepEvent.FAILED, EXECUTOR_FAILED)


@pytest.mark.parametrize(("number", "event"), [(1, states.StepEvent.RETRY), (2, states.StepEvent.FAILED)])
def test_a_rule_retries_until_its_last_attempt(number: int, event: states.StepEvent) -> None:
    task = TASK.model_copy(
        update={"retry": specs.RetryRule(max_attempts=2, on=(states.FailureKind.EXECUTOR,), delay_s=7)}
    )
    reached = verdict.verdict_reach(task, replace(FOUND, failure=EXECUTOR_FAILED, attempt_number=number))
    assert reached.event is event
    assert reached.retry_delay_s == (7 if event is states.StepEvent.RETRY else None)


def test_only_what_the_tasks_own_rule_tries_again_falls_back() -> None:
    task = TASK.model_copy(update={"retry": specs.RetryRule(max_attempts=2, on=(states.FailureKind.EXECUTOR,))})
    found = replace(FOUND, failure=EXECUTOR_FAILED)
    assert verdict.verdict_reach(task, found).falls_back
    assert not verdict.verdict_reach(task, replace(found, attempt_number=2)).falls_back


@pytest.mark.parametrize("bad", sorted(set(states.ValidationVerdict) - {states.ValidationVerdict.PASSED}))
def test_a_check_that_did_not_pass_fails_the_step_even_if_approval_is_asked_for(bad: states.ValidationVerdict) -> None:
    task = TASK.model_copy(update={"gates": specs.GateRules(after=specs.AfterGate.ALWAYS)})
    checks = (
        verdict.CheckResult(name="lint", verdict=states.ValidationVerdict.PASSED),
        verdict.CheckResult(name="tests", verdict=bad),
    )
    reached = verdict.verdict_reach(task, replace(FOUND, checks=checks))
    assert reached.failure == specs.Failure(
        kind=states.FailureKind.VALIDATION, detail=f"1 of 2 validations did not pass: tests {bad}"
    )


def test_a_check_that_gave_no_answer_says_why() -> None:
    why = verdict.CheckResult(
        name="loud", verdict=states.ValidationVerdict.ERRORED, detail="ended: it printed too much"
    )
    reached = verdict.verdict_reach(TASK, replace(FOUND, checks=[why]))
    assert reached.failure is not None
    assert reached.failure.detail == "1 of 1 validations did not pass: loud errored (ended: it printed too much)"


def test_an_asked_for_approval_binds_the_patch() -> None:
    task = TASK.model_copy(update={"gates": specs.GateRules(after=specs.AfterGate.ALWAYS)})
    reached = verdict.verdict_reach(task, FOUND)
    assert reached.gate is not None
    assert (reached.gate.kind, reached.gate.digest) == (states.GateKind.AFTER, FOUND.patch_sha256)


def test_a_question_is_asked_before_an_approval() -> None:
    found = replace(FOUND, question="Which one?", question_digest="1" * 64, policy_gate="touches migrations")
    reached = verdict.verdict_reach(TASK, found)
    assert reached.gate is not None
    assert (reached.gate.kind, reached.gate.question) == (states.GateKind.QUESTION, "Which one?")


def test_a_policy_can_fail_or_gate() -> None:
    assert verdict.verdict_reach(TASK, replace(FOUND, policy_failure="outside the fence")).failure == specs.Failure(
        kind=states.FailureKind.POLICY, detail="outside the fence"
    )
    assert verdict.verdict_reach(TASK, replace(FOUND, policy_gate="a secret")).event is states.StepEvent.GATED
