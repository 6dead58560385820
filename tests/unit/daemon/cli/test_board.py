import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from local_daemon.cli.board import Board, board_render
from local_daemon.protocol import events, messages, states

BEGAN = datetime(2026, 1, 2, tzinfo=UTC)


def run(**changes: Any) -> messages.RunView:
    fields = {
        "run_id": "run_1", "repository_id": "repo_1", "objective": "Ship it", "state": "running", "is_closed": False,
        "step_counts": {}, "created_at": BEGAN, "updated_at": BEGAN,
    }  # fmt: skip
    return messages.RunView.model_validate({**fields, **changes})


def step(number: int, state: str = "running", **changes: Any) -> messages.StepView:
    fields = {
        "step_id": f"step_{number:03}", "run_id": "run_1", "repository_id": "repo_1", "title": f"Step {number}",
        "executor": "codex", "state": state, "attempts": 1, "task_digest": "d", "created_at": BEGAN,
        "updated_at": BEGAN,
    }  # fmt: skip
    return messages.StepView.model_validate({**fields, **changes})


def gate(number: int = 1, **changes: Any) -> messages.GateView:
    fields = {
        "gate_id": f"gate_{number}", "run_id": "run_1", "step_id": "step_001", "kind": "after", "state": "open",
        "reason": "look at it", "digest": "d" * 64, "opened_at": BEGAN, "expires_at": BEGAN,
    }  # fmt: skip
    return messages.GateView.model_validate({**fields, **changes})


def record(event_type: events.EventType, data: dict[str, Any], run_id: str = "run_1") -> events.EventRecord:
    return events.EventRecord(
        seq=1, type=event_type, at=BEGAN, run_id=run_id, data=data, prev_hash="0" * 64, hash="1" * 64
    )


def drawn(board: Board, *, width: int = 100, height: int = 24) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height)
    with console.capture() as captured:
        console.print(board_render(board, width=width, height=height, now=BEGAN + timedelta(seconds=75)))
    return captured.get().splitlines()


def test_a_step_shows_its_state_its_executor_and_how_long_it_has_taken() -> None:
    board = Board(run=run())
    board.step_take(step(1))
    line = next(line for line in drawn(board) if "Step 1" in line)
    assert ("running" in line, "codex" in line, "1:15" in line) == (True, True, True)


def test_a_change_is_shown_and_another_runs_is_not() -> None:
    board = Board(run=run())
    changed = step(1, "completed").model_dump(mode="json")
    board.event_apply(record(events.EventType.STEP_CHANGED, {"step": changed}, run_id="run_2"))
    assert not board.steps
    board.event_apply(record(events.EventType.STEP_CHANGED, {"step": changed}))
    assert board.steps["step_001"].state is states.StepState.COMPLETED


def test_steps_that_it_was_never_told_of_are_counted_with_those_there_is_no_room_for() -> None:
    board = Board(run=run(step_counts={"completed": 500, "running": 1}))
    board.step_take(step(501))
    assert board.steps_left_out == 500
    assert any("and 500 more" in line for line in drawn(board))


def test_a_gate_is_shown_while_it_is_open() -> None:
    board = Board(run=run())
    board.event_apply(record(events.EventType.GATE_OPENED, {"gate": gate().model_dump(mode="json")}))
    assert any("look at it" in line for line in drawn(board))
    assert any("a approve" in line for line in drawn(board))
    board.event_apply(record(events.EventType.GATE_DECIDED, {"gate": gate(state="approved").model_dump(mode="json")}))
    assert not any("look at it" in line for line in drawn(board))


@pytest.mark.parametrize(("width", "height"), [(40, 10), (80, 24), (200, 60)])
def test_it_fits_the_terminal_and_keeps_what_waits_in_sight(width: int, height: int) -> None:
    board = Board(run=run())
    for number in range(100):
        board.step_take(step(number, "waiting" if number == 3 else "completed", ended_at=BEGAN))
    board.gate_take(gate())
    board.log_take("\n".join(f"line {number}" for number in range(300)), step_id="step_003")
    lines = drawn(board, width=width, height=height)
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)
    assert any(("?" in line and "Step 3" in line) or "waiting" in line for line in lines)


def test_output_can_not_move_the_cursor_or_pass_for_markup() -> None:
    board = Board(run=run())
    board.step_take(step(1, title="[red]not markup[/red]"))
    board.log_take("\x1b[2J\x1b[1;1Hgone\x07 \x1b]0;title\x07[bold]as it is[/bold]\n", step_id="step_001")
    text = "\n".join(drawn(board))
    assert "\x1b" not in text and "\x07" not in text
    assert "[red]not markup[/red]" in text
    assert "[bold]as it is[/bold]" in text


def test_the_output_of_another_attempt_replaces_the_one_before() -> None:
    board = Board(run=run())
    board.step_take(step(1))
    board.log_take("first", step_id="step_001")
    attempt = {
        "attempt_id": "att_2", "step_id": "step_001", "run_id": "run_1", "repository_id": "repo_1", "number": 2,
        "executor": "codex", "state": "leased", "leased_at": BEGAN.isoformat(),
    }  # fmt: skip
    board.event_apply(record(events.EventType.ATTEMPT_CHANGED, {"attempt": attempt}))
    board.log_take("second", step_id="step_001")
    assert board.log.last(9) == ["second"]


def test_of_two_that_talk_at_once_one_is_shown_until_it_has_settled_or_a_key_asks_for_the_other() -> None:
    board = Board(run=run())
    for number in (1, 2):
        board.step_take(step(number))
        board.log_take(f"said by {number}\n", step_id=f"step_{number:03}")
    assert any("output of Step 1  (o the next)" in line for line in drawn(board))
    board.log_next()
    assert board.log.last(9) == ["said by 2"]
    board.step_take(step(2, "completed"))
    board.log_take("more by 1\n", step_id="step_001")
    assert board.log.last(9) == ["said by 1", "more by 1"]


def test_without_a_run_it_waits_for_one() -> None:
    assert "Waiting for a run" in drawn(Board())[0]
