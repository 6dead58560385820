import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from local_daemon.cli.board import Board, board_render
from local_daemon.protocol import errors, events, messages, states

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


def test_a_step_that_is_alone_shows_its_title_and_one_among_others_its_name() -> None:
    board = Board(run=run())
    board.step_take(step(1, name="task"))
    assert any("Step 1" in line for line in drawn(board))
    board.step_take(step(2, name="manual"))
    assert all(any(name in line for line in drawn(board)) for name in ("task", "manual"))


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


def crowded(**changes: Any) -> Board:
    """A board with more of everything than a small terminal has room for."""
    board = Board(run=run(objective="Make all of it work " * 9), **changes)
    for number in range(1, 30):
        board.step_take(step(number, "waiting" if number == 1 else "running", title="A long title " * 9))
    board.log_take("".join(f"line {number} of what it says\n" for number in range(50)), step_id="step_029")
    return board


@pytest.mark.parametrize("height", [8, 12, 24])
@pytest.mark.parametrize("width", [40, 60, 100])
def test_all_of_it_fits_the_terminal_and_its_last_line_says_the_way_out(width: int, height: int) -> None:
    board = crowded()
    assert len(drawn(board, width=width, height=height)) <= height
    assert drawn(board, width=width, height=height)[-1].rstrip() == "q quit"
    board.gate_take(gate(reason="a person is to look at every change of this kind " * 3))
    board.gate_lines["gate_1"] = [f"M  a/file-{number}.txt" for number in range(40)]
    board.notice = "the gate was already decided; read it before retrying " * 4
    lines = drawn(board, width=width, height=height + 2)
    assert len(lines) <= height + 2
    assert lines[-1].rstrip() == "q quit"
    assert any("a approve exactly this   r reject" in line for line in lines)


def test_what_is_being_typed_stays_in_sight_where_there_is_no_room_for_all_of_it() -> None:
    board = crowded(prompt="reject, because: " + "it is not what was asked for, " * 9 + "and so on")
    board.gate_take(gate())
    lines = drawn(board, width=40, height=10)
    assert any("and so on" in line for line in lines)
    assert lines[-1].rstrip() == "q quit"


def test_where_it_is_narrow_a_step_keeps_its_title_and_its_state() -> None:
    board = Board(run=run())
    board.step_take(step(1))
    assert any("Step 1" in line and "running" in line for line in drawn(board, width=40, height=12))


def test_what_of_a_gate_is_left_out_is_counted_and_where_to_read_it_said() -> None:
    board = Board(run=run())
    board.step_take(step(1, "waiting"))
    board.gate_take(gate())
    board.gate_lines["gate_1"] = [f"M  file-{number}" for number in range(9)]
    lines = drawn(board, width=60, height=12)
    assert any("file-2" in line for line in lines)
    assert not any("file-3" in line for line in lines)
    assert any("6 more: ropeway gate show gate_1" in line for line in lines)


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        (events.EventType.RUN_CHANGED, {"run": {"run_id": "run_1"}}),
        (events.EventType.STEP_CHANGED, {"step": {**step(1).model_dump(mode="json"), "state": "of a later version"}}),
        (events.EventType.ATTEMPT_CHANGED, {"attempt": None}),
        (events.EventType.GATE_OPENED, {}),
    ],
)
def test_what_a_daemon_of_another_version_tells_is_told_as_that(
    event_type: events.EventType, data: dict[str, Any]
) -> None:
    with pytest.raises(errors.ProtocolMismatch, match="different versions"):
        Board(run=run()).event_apply(record(event_type, data))
