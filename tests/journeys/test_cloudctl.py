"""`cloudctl` beside a whole Ropeway at work: runs started and waited for, gates decided, from a shell."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.world import World, document, world_open

MAIN = [sys.executable, "-m", "cloud.cloudctl.main"]
FILES = {"files": {"note.txt": "left by a fake\n"}}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_open(tmp_path_factory.mktemp("world")) as opened:
        yield opened


def shell(world: World, *arguments: str, given: Any = None) -> subprocess.CompletedProcess[str]:
    """`cloudctl`, as a shell runs it."""
    return subprocess.run(
        [*MAIN, *arguments], cwd=world.stack.cloud.cwd, env=world.stack.env, capture_output=True, text=True, timeout=90,
        check=False, input=None if given is None else json.dumps(given),
    )  # fmt: skip


def in_acme(world: World, group: str, verb: str, *arguments: str, given: Any = None) -> Any:
    return document(shell(world, group, verb, "--organization", "acme", *arguments, given=given))


def start_held(world: World) -> str:
    """A run whose changes wait for approval."""
    task = {"goal": "g", "executor": "fake-success", "params": FILES, "gates": {"after": "always"}}
    manifest = {"objective": "ask first", "steps": [{"name": "task", "task": task}]}
    begun = ["--organization", "acme", "--project", "demo", "--manifest", "-", "--wait"]
    done = shell(world, "run", "start", *begun, given=manifest)
    assert done.returncode == 7, done.stderr
    return str(json.loads(done.stdout)["run_id"])


def gate_of(world: World, run_id: str) -> dict[str, Any]:
    (found,) = [row for row in in_acme(world, "gate", "list")["items"] if row["run_id"] == run_id]
    return dict(found)


def test_a_run_is_started_waited_for_and_shown(world: World) -> None:
    begun = ["--project", "demo", "--goal", "leave a note", "--executor", "fake-success"]
    done = in_acme(world, "run", "start", *begun, "--name", "note", "--wait")
    assert (done["state"], done["steps"]) == ("completed", ["1 completed"])
    assert in_acme(world, "run", "start", *begun, "--name", "note")["run_id"] == done["run_id"]
    shown = in_acme(world, "run", "show", done["run_id"])
    assert (shown["state"], shown["project"], shown["objective"]) == ("completed", "demo", "leave a note")
    assert [(step["state"], step["executor"]) for step in shown["steps"]] == [("completed", "fake-success")]
    first = in_acme(world, "runs", "list", "--state", "completed", "--limit", "1")
    assert first["items"][0]["run_id"] == first["next_before"] == done["run_id"]
    assert in_acme(world, "run", "list", "--before", done["run_id"])["items"] == []


def test_a_run_is_cancelled_and_its_wait_says_so(world: World) -> None:
    begun = in_acme(world, "run", "start", "--project", "demo", "--goal", "sleep", "--executor", "fake-timeout")
    assert shell(world, "run", "wait", "--organization", "acme", begun["run_id"], "--timeout", "0").returncode == 6
    in_acme(world, "run", "cancel", begun["run_id"], "--reason", "enough")
    waited = shell(world, "run", "wait", "--organization", "acme", begun["run_id"])
    assert (waited.returncode, json.loads(waited.stdout)["state"]) == (1, "cancelled")


def test_a_gate_is_shown_and_approved_by_its_digest(world: World) -> None:
    run_id = start_held(world)
    gate = gate_of(world, run_id)
    assert gate["state"] == "open"
    shown = in_acme(world, "gate", "show", gate["gate_id"])
    assert [change["path"] for change in shown["changes"]] == ["note.txt"]
    patch = shell(world, "gate", "patch", "--organization", "acme", gate["gate_id"])
    assert "+left by a fake" in patch.stdout
    unsaid = shell(world, "gate", "approve", "--organization", "acme", gate["gate_id"])
    assert (unsaid.returncode, "--digest" in unsaid.stderr) == (2, True)
    other = shell(world, "gate", "approve", "--organization", "acme", gate["gate_id"], "--digest", "0" * 64)
    assert (other.returncode, json.loads(other.stderr)["code"]) == (5, "stale_approval")
    decided = in_acme(world, "gate", "approve", gate["gate_id"], "--digest", shown["digest"], "--comment", "fine")
    assert (decided["state"], decided["comment"]) == ("approved", "fine")
    assert in_acme(world, "run", "wait", run_id)["state"] == "completed"
    again = shell(world, "gate", "reject", "--organization", "acme", gate["gate_id"])
    assert (again.returncode, json.loads(again.stderr)["code"]) == (5, "gate_decided")


def test_a_rejected_gate_fails_its_run(world: World) -> None:
    run_id = start_held(world)
    in_acme(world, "gate", "reject", gate_of(world, run_id)["gate_id"], "--comment", "no")
    waited = shell(world, "run", "wait", "--organization", "acme", run_id)
    assert (waited.returncode, json.loads(waited.stdout)["state"]) == (1, "failed")


def test_usage_is_told_by_executor(world: World) -> None:
    in_acme(world, "run", "start", "--project", "demo", "--goal", "g", "--executor", "fake-success", "--wait")
    found = in_acme(world, "usage", "project", "demo")
    assert "fake-success" in {row["executor"] for row in found["by"]}
    assert in_acme(world, "usage", "show")["runs_under_way"] >= 0


def test_a_schedule_is_fired_at_once_by_the_worker(world: World) -> None:
    options = ["--project", "demo", "--name", "nightly", "--cron", "0 3 * * *", "--time-zone", "Europe/Vienna"]
    made = in_acme(world, "schedule", "create", *options, "--goal", "g", "--executor", "fake-success")
    assert in_acme(world, "schedule", "run", made["id"])["state"] == "waiting"
    document(shell(world, "task", "run", "scheduled runs"))
    (fired,) = in_acme(world, "schedule", "show", made["id"])["firings"]
    assert fired["state"] == "started"
    assert in_acme(world, "run", "wait", fired["run_id"])["state"] == "completed"


def test_doctor_finds_a_working_installation_well(world: World) -> None:
    done = shell(world, "doctor", "--address", world.stack.url)
    told = json.loads(done.stdout)
    found = {finding["name"]: finding["level"] for finding in told["findings"]}
    failed = [finding for finding in told["findings"] if finding["level"] == "fail"]
    assert (done.returncode, told["ok"], failed) == (0, True, [])
    names = ("database", "database role", "row-level security", "migrations", "address", "websockets")
    assert {found[name] for name in names} == {"ok"}


def test_doctor_says_that_nobody_answers_there(world: World) -> None:
    done = shell(world, "doctor", "--address", "http://127.0.0.1:9")
    assert done.returncode == 1
    (finding,) = [found for found in json.loads(done.stdout)["findings"] if found["name"] == "address"]
    assert finding["level"] == "fail"
    assert finding["next_step"]


def test_without_its_database_a_command_says_so_in_a_sentence(world: World, tmp_path: Path) -> None:
    env = {**world.stack.env, "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing"}
    done = subprocess.run(
        [*MAIN, "org", "list", "--table"], env=env, cwd=world.stack.cloud.cwd, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 6
    assert "database" in done.stderr
    assert "Traceback" not in done.stderr
