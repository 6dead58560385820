from datetime import UTC, datetime
from typing import Any, cast

import pytest

from local_daemon.cli import run_steps
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import messages

BEGAN = datetime(2026, 1, 2, tzinfo=UTC)


def step(number: int, state: str) -> messages.StepView:
    return messages.StepView.model_validate(
        {
            "step_id": f"step_{number:05}", "run_id": "run_1", "repository_id": "repo_1", "title": "t", "executor": "e",
            "state": state, "attempts": 0, "task_digest": "d", "created_at": BEGAN, "updated_at": BEGAN,
        }
    )  # fmt: skip


class Answering:
    """A daemon that knows these steps of one run, and is counted in what it is asked."""

    def __init__(self, states: list[str]) -> None:
        self.steps = [step(number, state) for number, state in enumerate(states)]
        self.asked = 0

    def call(self, name: str, answer: Any, *, parameters: Any, query: dict[str, Any]) -> messages.StepPage:
        assert (name, query["order"], parameters["run_id"]) == ("steps.list", "newest", "run_1")
        self.asked += 1
        wanted = [each for each in reversed(self.steps) if query.get("state") in (None, each.state)]
        return messages.StepPage(items=tuple(wanted[: query["limit"]]))

    def run(self) -> messages.RunView:
        states = [each.state for each in self.steps]
        counts = {state: states.count(state) for state in states}
        return messages.RunView.model_validate(
            {
                "run_id": "run_1", "repository_id": "repo_1", "objective": "o", "state": "running", "is_closed": False,
                "step_counts": counts, "created_at": BEGAN, "updated_at": BEGAN,
            }
        )  # fmt: skip

    def shown(self) -> run_steps.RunSteps:
        return run_steps.run_steps(cast(DaemonClient, self), self.run())


@pytest.mark.parametrize("many", [0, 1, 200])
def test_a_run_of_one_page_is_shown_whole_in_its_order_by_one_read(many: int) -> None:
    daemon = Answering(["completed"] * many)
    shown = daemon.shown()
    assert shown.items == tuple(daemon.steps)
    assert (shown.left_out, shown.left_out_lines("run_1"), daemon.asked) == (0, [], 1)


def test_of_a_long_run_the_newest_are_shown_and_how_many_are_not() -> None:
    daemon = Answering(["completed"] * 1000)
    shown = daemon.shown()
    assert shown.items == tuple(daemon.steps[800:])
    assert shown.left_out_lines("run_1") == ["  and 800 more: ropeway step list run_1"]


@pytest.mark.parametrize("state", run_steps._FIRST)
def test_what_waits_works_or_failed_is_shown_however_old_it_is(state: str) -> None:
    daemon = Answering([state, *["queued"] * 1000])
    shown = daemon.shown()
    assert shown.items == (daemon.steps[0], *daemon.steps[802:])
    assert (len(shown.items), shown.left_out, daemon.asked) == (200, 801, 2)


def test_what_a_person_must_look_at_comes_before_what_works_and_what_failed() -> None:
    daemon = Answering([*["waiting"] * 150, *["running"] * 100, *["failed"] * 100])
    shown = daemon.shown()
    assert shown.items == (*daemon.steps[:150], *daemon.steps[200:250])
    assert daemon.asked == 2


def test_a_step_that_moves_while_it_is_read_is_shown_once() -> None:
    daemon = Answering(["running", *["queued"] * 300])
    run = daemon.run().model_copy(update={"step_counts": {"running": 1, "failed": 1, "queued": 299}})
    shown = run_steps.run_steps(cast(DaemonClient, daemon), run)
    assert len({each.step_id for each in shown.items}) == len(shown.items) == 200
