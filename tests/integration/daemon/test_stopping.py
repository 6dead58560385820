"""Asking a daemon how it is, and to stop: by the home it runs in, and never anybody else."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local_daemon.config import home as homes
from local_daemon.processes import process_table
from tests.integration.daemon.door import Door, door_open
from tests.integration.daemon.machine import repository_make

FOREVER = {"executor": "fake-timeout", "timeout_s": 600}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def ask(home: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """`ropeway daemon … --json`: its exit code and its document."""
    argv = [sys.executable, "-m", "local_daemon.cli", "--home", str(home), "daemon", *words, "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def work_begin(door: Door, repository: Path, **task: Any) -> tuple[str, str]:
    """A repository and a step in it that is at work."""
    repository_id = door.repository_add(repository)
    step_id = door.submit(repository_id, door.run_create(repository_id), **task)
    assert any(line["event"] == "attempt.started" for line in door.log())
    return repository_id, step_id


def test_where_no_daemon_runs_that_is_said_and_there_is_nothing_to_stop(home: Path) -> None:
    assert ask(home, "status") == (41, {"state": "not_running"})
    assert ask(home, "stop") == (0, {"state": "not_running"})


def test_a_running_daemon_says_how_it_is(home: Path) -> None:
    with door_open(home) as door:
        code, told = ask(home, "status")
    assert (code, told["state"], told["pid"], told["at_work"]) == (0, "running", door.process.pid, 0)


def test_an_idle_daemon_has_ended_when_stop_returns(home: Path) -> None:
    with door_open(home) as door:
        code, told = ask(home, "stop")
        assert (code, told["state"], told["pid"]) == (0, "stopped", door.process.pid)
        assert door.process.wait(1) == 0
    assert not (home / "daemon.json").exists()


def test_stop_waits_for_what_is_at_work(home: Path, tmp_path: Path) -> None:
    with door_open(home) as door:
        repository_id, step_id = work_begin(door, repository_make(tmp_path / "r"), params={"sleep_s": 0.5})
        assert ask(home, "stop")[1]["state"] == "stopped"
    with door_open(home) as door:
        assert door.get(f"/repositories/{repository_id}/steps/{step_id}")["state"] == "completed"


def test_a_second_stop_stops_at_once_and_the_next_start_accounts_for_the_work(home: Path, tmp_path: Path) -> None:
    with door_open(home) as door:
        repository_id, step_id = work_begin(door, repository_make(tmp_path / "r"), **FOREVER)
        assert ask(home, "stop", "--timeout", "0")[0] == 27
        code, told = ask(home, "status")
        assert (code, told["state"], told["at_work"]) == (0, "draining", 1)
        assert ask(home, "stop")[1]["state"] == "stopped"
    with door_open(home) as door:
        assert door.wait(repository_id, step_id)["failure"]["kind"] == "interrupted"


def test_a_daemon_that_was_killed_does_not_run_whoever_has_its_pid_now(home: Path) -> None:
    with door_open(home) as door:
        door.process.kill()
        door.process.wait()
    address = json.loads((home / "daemon.json").read_text())
    assert ask(home, "status")[1] == {"state": "not_running"}
    (home / "daemon.json").write_text(json.dumps({**address, "pid": os.getpid()}))
    assert ask(home, "stop") == (0, {"state": "not_running"})


def test_a_home_that_somebody_holds_who_does_not_say_who_he_is_is_left_alone(home: Path) -> None:
    home.mkdir()
    with homes.run_lock(homes.Home(root=home)):
        code, told = ask(home, "stop")
    assert (code, "ask again" in told["error"]["detail"]) == (41, True)


def test_the_process_is_named_by_its_start_time_too(home: Path) -> None:
    with door_open(home) as door:
        assert door.address["process_start"] == process_table.started_at(door.process.pid)
