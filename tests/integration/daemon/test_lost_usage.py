"""What an executor had told of its usage counts, also when it was lost before it could tell all."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon.door import Door, door_open
from tests.integration.daemon.machine import repository_make
from tests.integration.daemon.shell import Operator

TOLD = {"input_tokens": 70, "output_tokens": 7, "model": "m"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def lost(home: Path, tmp_path: Path) -> tuple[str, str]:
    """A repository and a step in it whose executor told something of its usage and worked on when the daemon died."""
    with door_open(home) as door:
        repository_id = door.repository_add(repository_make(tmp_path / "repository"))
        step_id = door.submit(repository_id, door.run_create(repository_id), executor="fake-timeout", timeout_s=600)
        attempt_id = next(line for line in door.log() if line["event"] == "attempt.started")["attempt_id"]
        door.stop(signal.SIGKILL)
    with open(home / "attempts" / attempt_id / "stdout", "a") as stdout:
        stdout.write(json.dumps({"usage": TOLD}) + "\n")
    return repository_id, step_id


def usage_of(door: Door, repository_id: str, step_id: str) -> dict[str, Any]:
    """What the step's newest attempt used."""
    (attempt,) = door.get(f"/repositories/{repository_id}/steps/{step_id}/attempts")["items"]
    return {name: value for name, value in attempt["usage"].items() if value is not None}


def test_an_interrupted_attempt_keeps_what_it_had_told_and_says_that_it_is_a_part(
    home: Path, lost: tuple[str, str]
) -> None:
    repository_id, step_id = lost
    with door_open(home) as door:
        assert door.wait(repository_id, step_id)["failure"]["kind"] == "interrupted"
        assert usage_of(door, *lost) == {**TOLD, "is_partial": True}
        spent = door.get(f"/repositories/{repository_id}/usage", step_id=step_id)["spent"]
    assert (spent["output_tokens"], spent["unreported"], spent["partial"]) == (7, 0, 1)


def test_an_attempt_of_which_the_record_can_tell_no_more_keeps_it_until_a_person_resolves_its_step(
    home: Path, tmp_path: Path, lost: tuple[str, str]
) -> None:
    for worktree in (home / "worktrees").iterdir():
        shutil.rmtree(worktree)
    repository_id, step_id = lost
    with door_open(home) as door:
        assert door.wait(repository_id, step_id)["state"] == "needs_attention"
        assert usage_of(door, *lost) == {**TOLD, "is_partial": True}
        resolved = Operator(home=home, repository=tmp_path / "repository").ask("step", "resolve", step_id, "failed")
    assert (resolved["state"], resolved["failure"]["kind"]) == ("failed", "interrupted")


def test_what_ended_by_itself_has_told_all(door: Door, repository_id: str) -> None:
    step_id = door.submit(repository_id, door.run_create(repository_id), params={"usage": TOLD})
    assert door.wait(repository_id, step_id)["state"] == "completed"
    assert usage_of(door, repository_id, step_id) == {**TOLD, "is_partial": False}
