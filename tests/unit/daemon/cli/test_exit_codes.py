import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local_daemon.cli import exit_codes
from local_daemon.client.errors import ContentDamaged, DaemonUnreachable
from local_daemon.protocol import errors, messages, specs, states


def _step(state: states.StepState, failure: states.FailureKind | None = None) -> messages.StepView:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    return messages.StepView(
        step_id="s",
        run_id="r",
        repository_id="p",
        title="t",
        executor="e",
        state=state,
        failure=None if failure is None else specs.Failure(kind=failure, detail="d"),
        attempts=1,
        task_digest="0" * 64,
        created_at=now,
        updated_at=now,
    )


@pytest.mark.parametrize("state", states.StepState)
def test_every_state_has_its_exit_code_and_only_success_is_zero(state: states.StepState) -> None:
    code = exit_codes.step_exit_code(_step(state))
    assert (code == 0) == (state is states.StepState.COMPLETED)
    assert (code == exit_codes.ExitCode.NOT_SETTLED) == (state not in states.STEP_SETTLED)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (states.FailureKind.EXECUTOR, 20),
        (states.FailureKind.WORKSPACE, 20),
        (states.FailureKind.ARTIFACT, 20),
        (states.FailureKind.INTERRUPTED, 20),
        (states.FailureKind.VALIDATION, 21),
        (states.FailureKind.POLICY, 22),
        (states.FailureKind.REJECTED, 22),
        (states.FailureKind.TIMEOUT, 24),
        (states.FailureKind.INTERNAL, 40),
    ],
)
def test_a_failure_says_whose_it_is(kind: states.FailureKind, code: int) -> None:
    assert exit_codes.step_exit_code(_step(states.StepState.FAILED, kind)) == code


def test_a_refused_call_a_defect_silence_and_damage_differ() -> None:
    assert exit_codes.error_exit_code(errors.NotFound()) == 30
    assert exit_codes.error_exit_code(errors.StorageFull()) == 40
    assert exit_codes.error_exit_code(DaemonUnreachable()) == 41
    assert exit_codes.error_exit_code(ContentDamaged()) == 28
    assert exit_codes.error_exit_code(errors.ProtocolMismatch()) == 42


def test_the_help_names_every_code() -> None:
    assert {int(code) for code in re.findall(r"\b\d+\b", exit_codes.TABLE)} == set(exit_codes.ExitCode)


def test_the_operators_guide_names_every_code() -> None:
    guide = (Path(__file__).parents[4] / "docs" / "operators.md").read_text()
    rows = re.findall(r"^\| ([\d· ]+) \|", guide, flags=re.MULTILINE)
    assert {int(code) for row in rows for code in row.split("·")} == set(exit_codes.ExitCode)


def test_the_operators_guide_says_which_failures_end_with_20() -> None:
    guide = (Path(__file__).parents[4] / "docs" / "operators.md").read_text()
    row = next(line for line in guide.splitlines() if line.startswith("| 20 · 21 · 22 |")).split("|")[2]
    told = {kind for kind in states.FailureKind if f"`{kind}`" in row.split(" · ")[0]}
    assert told == {
        kind
        for kind in states.FailureKind
        if exit_codes.step_exit_code(_step(states.StepState.FAILED, kind)) == exit_codes.ExitCode.EXECUTOR_FAILED
    }
