"""Kill -9 before and after every commit on an attempt's way: the next start brings it to a truthful end.

The daemon alone; `tests/journeys/test_crashes.py` tries every other commit too, with a whole Ropeway around it.
"""

import contextlib
import signal
from pathlib import Path

import httpx
import pytest

from tests.integration.daemon.door import Door, door_open
from tests.integration.daemon.machine import git, repository_make
from tests.integration.daemon.truth import truth_check
from tests.journeys.failpoints import failpoints_find

EDIT = {"executor": "fake-success", "params": {"files": {"edit.txt": "edited\n"}}}
CHECKED = {**EDIT, "validations": [{"name": "look", "command": "grep -q edited edit.txt"}]}
TASKS = {
    "attempt_collect": CHECKED,
    "attempt_give_up": {"executor": "fake-success", "base": "nowhere"},
    "due_close": {"executor": "fake-failure", "retry": {"max_attempts": 2, "on": ["executor"]}},
}
"""What comes past a label; everything else is on the way of an ordinary step."""

ON_THE_WAY = {
    "step_submit", "attempt_lease", "attempt_start", "attempt_exit", "attempt_collect", "step_conclude", *TASKS,
}  # fmt: skip
FAILPOINTS = [failpoint.name for failpoint in failpoints_find() if failpoint.name.split(".")[1] in ON_THE_WAY]
IN_EVERY_RUN = {"attempt_start", "attempt_exit"}
"""Where an executor begins and ends; the others are for `make test-long`."""

DIES_WITHIN_S = 30


def test_every_commit_on_the_way_is_tried() -> None:
    assert len(FAILPOINTS) == 2 * len(ON_THE_WAY)


@pytest.mark.parametrize(
    "failpoint",
    [pytest.param(name, marks=() if name.split(".")[1] in IN_EVERY_RUN else pytest.mark.long) for name in FAILPOINTS],
)
def test_a_killed_daemon_comes_back_to_the_truth(tmp_path: Path, failpoint: str) -> None:
    home, starts = tmp_path / "home", tmp_path / "starts"
    env = {"ROPEWAY_ENV": "test", "ROPEWAY_FAKE_STARTS": str(starts)}
    repository = repository_make(tmp_path / "repository")
    with door_open(home, env=env) as door:
        repository_id = door.repository_add(repository)
        run_id = door.run_create(repository_id)
    task = TASKS.get(failpoint.split(".")[1], EDIT)
    with door_open(home, env={**env, "ROPEWAY_FAILPOINT": failpoint}) as door:
        _submit(door, repository_id, run_id, task)
        assert door.process.wait(DIES_WITHIN_S) == -signal.SIGKILL
    with door_open(home, env=env) as door:
        # Submitted again by its name: whether the first time was kept is what a planner can't know.
        step_id = _submit(door, repository_id, run_id, task)
        step = door.wait(repository_id, step_id)
        result = door.get(f"/repositories/{repository_id}/steps/{step_id}/result")
    if task in (EDIT, CHECKED):
        assert step["state"] == "completed", step
        assert git(repository, "show", f"{result['ref']}:edit.txt") == "edited\n"
    else:
        assert step["state"] == "failed", step
    truth_check(home, starts=starts, retried=False)


def _submit(door: Door, repository_id: str, run_id: str, task: dict[str, object]) -> str:
    """The step's id; empty where the daemon died before it could answer."""
    body = {"name": "the-step", "task": {"goal": "g", **task}}
    with contextlib.suppress(httpx.TransportError):
        answer = door.post(f"/repositories/{repository_id}/runs/{run_id}/steps", body)
        return str(answer.json()["step"]["step_id"])
    return ""
