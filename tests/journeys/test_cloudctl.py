"""`cloudctl` beside a whole Ropeway at work, in place and against it by URL: the same commands, the same answers.

By URL it has no database to fall back on: the one that it is told of does not exist. A journey is dozens of commands,
so they are typed into a Python that has imported what they need; what is said of a start, an environment or an
installation is asked of a command that starts by itself."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cloud.cloudctl.main import COMMANDS, INSTALLATION
from tests.integration.warmed import Warmed
from tests.journeys.world import PATIENCE_S, World, document

MAIN = "cloud.cloudctl.main"
FILES = {"files": {"note.txt": "left by a fake\n"}}
NO_DATABASE = "postgresql://nobody@127.0.0.1:9/nothing"


@dataclass(frozen=True, kw_only=True)
class Shell:
    """Where `cloudctl` is typed."""

    world: World
    env: dict[str, str] = field(repr=False)
    warmed: Warmed

    def run(self, *arguments: str, given: Any = None) -> subprocess.CompletedProcess[str]:
        """A command and what it said."""
        return self.warmed.run(MAIN, *arguments, given="" if given is None else json.dumps(given))

    def start(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """The same of a Python of its own, with another environment perhaps."""
        return subprocess.run(
            [sys.executable, "-m", MAIN, *arguments], cwd=self.world.stack.cloud.cwd, env={**self.env, **env},
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip

    def told(self, *arguments: str, given: Any = None) -> Any:
        return document(self.run(*arguments, given=given))

    def start_held(self) -> str:
        """A run whose changes wait for approval."""
        task = {"goal": "g", "executor": "fake-success", "params": FILES, "gates": {"after": "always"}}
        manifest = {"objective": "ask first", "steps": [{"name": "task", "task": task}]}
        done = self.run("run", "start", "--project", "demo", "--manifest", "-", "--wait", given=manifest)
        assert done.returncode == 7, done.stderr
        return str(json.loads(done.stdout)["run_id"])

    def gate_of(self, run_id: str) -> str:
        (found,) = [row for row in self.told("gate", "list")["items"] if row["run_id"] == run_id]
        assert found["state"] == "open"
        return str(found["gate_id"])


@pytest.fixture(scope="module")
def in_place(world: World) -> Iterator[Shell]:
    # Named, for a journey beside may have made another organization before. Which settings it takes is its own choice.
    env = {**world.stack.env, "CLOUDCTL_ORGANIZATION": "acme"}
    del env["DJANGO_SETTINGS_MODULE"]
    ready = ("cloud.cloudctl.doors:installation_ready", "cloud.cloudctl.in_place", "cloud.config.urls")
    with shell_open(world, env, *ready) as opened:
        yield opened


@pytest.fixture(scope="module")
def by_url(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    secret = tmp_path_factory.mktemp("secret") / "token"
    secret.write_text(f"{world.tenant.token}\n")
    remote = {"CLOUDCTL_URL": world.stack.url, "CLOUDCTL_TOKEN_FILE": str(secret), "DATABASE_URL": NO_DATABASE}
    with shell_open(world, {**world.stack.env, **remote}, "cloud.cloudctl.remote") as opened:
        yield opened


@contextmanager
def shell_open(world: World, env: dict[str, str], *ready: str) -> Iterator[Shell]:
    modules = sorted({f"cloud.cloudctl.{entry.module}" for name, entry in COMMANDS.items() if name not in INSTALLATION})
    with Warmed(*ready, *modules, env=env, cwd=world.stack.cloud.cwd) as warmed:
        yield Shell(world=world, env=env, warmed=warmed)


@pytest.fixture(params=["in_place", "by_url"])
def shell(request: pytest.FixtureRequest) -> Shell:
    found: Shell = request.getfixturevalue(request.param)
    return found


def test_a_run_is_started_waited_for_and_shown(shell: Shell, request: pytest.FixtureRequest) -> None:
    begun = ["--project", "demo", "--goal", "leave a note", "--executor", "fake-success", "--name", request.node.name]
    begun[-1] = begun[-1].translate(str.maketrans("[]", "--")).strip("-")
    done = shell.told("run", "start", *begun, "--wait")
    assert (done["state"], done["step_counts"]["completed"]) == ("completed", 1)
    assert shell.told("run", "start", *begun)["run_id"] == done["run_id"]
    shell.world.agree([step["step_id"] for step in shell.told("run", "show", done["run_id"])["steps"]])
    shown = shell.told("run", "show", done["run_id"])
    assert (shown["state"], shown["project_id"]) == ("completed", shell.world.tenant.project_id)
    assert [(step["state"], step["executor"]) for step in shown["steps"]] == [("completed", "fake-success")]
    first = shell.told("runs", "list", "--state", "completed", "--limit", "1")
    assert [row["run_id"] for row in first["items"]] == [done["run_id"]]
    assert shell.told("run", "events", done["run_id"])["items"]
    assert "manifests.submit" in {row["operation"] for row in shell.told("call", "list")["items"]}


def test_a_run_is_cancelled_and_its_wait_says_so(shell: Shell) -> None:
    begun = shell.told("run", "start", "--project", "demo", "--goal", "sleep", "--executor", "fake-timeout")
    shell.world.agree([])
    assert shell.run("run", "wait", begun["run_id"], "--timeout", "0").returncode == 6
    shell.told("run", "cancel", begun["run_id"], "--reason", "enough")
    waited = shell.run("run", "wait", begun["run_id"])
    assert (waited.returncode, json.loads(waited.stdout)["state"]) == (1, "cancelled")


def test_a_gate_is_shown_and_approved_by_its_digest(shell: Shell) -> None:
    run_id = shell.start_held()
    gate_id = shell.gate_of(run_id)
    shown = shell.told("gate", "show", gate_id)
    assert [change["path"] for change in shown["changes"]] == ["note.txt"]
    assert "+left by a fake" in shell.run("gate", "patch", gate_id).stdout
    unsaid = shell.run("gate", "approve", gate_id)
    assert (unsaid.returncode, "--digest" in unsaid.stderr) == (2, True)
    other = shell.run("gate", "approve", gate_id, "--digest", "0" * 64)
    assert (other.returncode, json.loads(other.stderr)["code"]) == (5, "stale_approval")
    decided = shell.told("gate", "approve", gate_id, "--digest", shown["digest"], "--comment", "fine")
    assert (decided["state"], decided["comment"]) == ("approved", "fine")
    assert shell.told("run", "wait", run_id)["state"] == "completed"
    again = shell.run("gate", "reject", gate_id)
    assert (again.returncode, json.loads(again.stderr)["code"]) == (5, "gate_decided")


def test_a_rejected_gate_fails_its_run(shell: Shell) -> None:
    run_id = shell.start_held()
    shell.told("gate", "reject", shell.gate_of(run_id), "--comment", "no")
    waited = shell.run("run", "wait", run_id)
    assert (waited.returncode, json.loads(waited.stdout)["state"]) == (1, "failed")


def test_usage_is_told_by_executor(shell: Shell) -> None:
    shell.told("run", "start", "--project", "demo", "--goal", "g", "--executor", "fake-success", "--wait")
    found = shell.told("usage", "project", "demo")
    assert "fake-success" in {row["executor"] for row in found["by"]}
    assert shell.told("usage", "show")["runs_under_way"] >= 0


def test_a_schedule_is_fired_as_soon_as_somebody_asks(shell: Shell, in_place: Shell) -> None:
    options = ["--project", "demo", "--name", "nightly", "--cron", "0 3 * * *", "--time-zone", "Europe/Vienna"]
    made = shell.told("schedule", "create", *options, "--goal", "g", "--executor", "fake-success")
    assert shell.told("schedule", "run", made["run_schedule_id"])["state"] == "waiting"

    def is_fired() -> bool:
        done = in_place.run("task", "run", "scheduled runs")
        # Where the worker is at it in this very minute, it may have looked before there was anything to fire.
        assert done.returncode == 0 or json.loads(done.stderr)["code"] == "invalid_transition", done.stderr
        (firing,) = shell.told("schedule", "show", made["run_schedule_id"])["firings"]
        return bool(firing["state"] == "started")

    shell.world.stack.worker.wait_until(is_fired, timeout_s=PATIENCE_S)
    assert shell.told("schedule", "pause", made["run_schedule_id"])["status"] == "paused"


def test_two_who_change_the_same_thing_do_not_lose_one_change(shell: Shell) -> None:
    seen = shell.told("workspace", "show", "main")["version"]
    shell.told("workspace", "update", "main", "--name", f"Main {seen}", "--version", str(seen))
    late = shell.run("workspace", "update", "main", "--name", "Late", "--version", str(seen))
    assert (late.returncode, json.loads(late.stderr)["code"]) == (5, "precondition_failed")
    assert shell.told("workspace", "update", "main", "--name", "Whatever it was")["version"] == seen + 2


def test_tenants_people_tokens_and_machines_are_kept(shell: Shell, request: pytest.FixtureRequest) -> None:
    way = "place" if "in_place" in request.node.name else "url"
    lab = shell.told("workspace", "create", "--name", f"Lab {way}")
    made = shell.told("project", "create", "--workspace", lab["slug"], "--name", "Compiler")
    assert shell.told("project", "show", f"{lab['slug']}/compiler")["project_id"] == made["project_id"]
    assert shell.told("project", "delete", made["project_id"])["status"] == "deleting"
    assert shell.told("project", "resume", made["project_id"])["status"] == "active"
    assert len(shell.told("workspace", "list", "--limit", "1")["items"]) == 1
    asked = shell.told("invitation", "create", "--email", f"{way}@acme.example", "--role", "project_viewer")
    assert asked["secret"] != shell.told("invitation", "resend", asked["invitation_id"], "--days", "2")["secret"]
    assert shell.told("invitation", "revoke", asked["invitation_id"])["revoked_at"]
    whose = ["--member", "owner@acme.example"] if way == "place" else []
    token = shell.told("token", "create", *whose, "--name", way, "--scope", "runs:read", "--days", "1")
    assert shell.told("limits", "set", "--token", token["token_id"], "--runs-at-once", "2")["own"]["runs_at_once"] == 2
    assert shell.told("token", "revoke", token["token_id"])["state"] == "revoked"
    code = shell.told("enroll-code", "create", "--project", "demo", "--label", way)
    assert shell.told("enroll-code", "revoke", code["enrollment_code_id"])["revoked_at"]
    (machine,) = shell.told("connector", "list", "--online")["items"]
    shown = shell.told("connector", "show", machine["connector_id"])
    assert [row["is_shared"] for row in shown["locations"]] == [True]
    assert shell.told("location", "list", "--project", "demo")["items"]
    assert shell.told("instance", "list")["items"]
    assert shell.told("audit", "list", "--event-type", "token:revoked", "--limit", "1")["items"]


def test_what_is_not_there_and_what_is_wrong_have_the_same_status(shell: Shell) -> None:
    for arguments, status, code in (
        (("project", "show", "nothing"), 3, "not_found"),
        (("run", "show", "run_" + "0" * 26), 3, "not_found"),
        (("workspace", "create", "--name", "!!"), 2, "invalid_request"),
        (("workspace", "list", "--organization", "nobodys"), 3, "not_found"),
    ):
        done = shell.run(*arguments)
        assert (done.returncode, json.loads(done.stderr)["code"]) == (status, code), arguments


def test_an_export_verifies_with_the_verifier_that_is_handed_out(shell: Shell, in_place: Shell, tmp_path: Path) -> None:
    verifier, exported = tmp_path / "verifier.py", tmp_path / "audit.jsonl"
    verifier.write_text(shell.run("audit", "verifier").stdout)
    assert shell.start("audit", "export", "--out", str(exported)).returncode == 0
    key = in_place.told("audit", "public-key")["public_key"]
    checked = [sys.executable, str(verifier), str(exported), "--public-key", key]
    done = subprocess.run(checked, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_only_the_installation_can_do_is_said_so(by_url: Shell) -> None:
    for arguments in (("task", "list"), ("audit", "verify"), ("org", "create", "--name", "Other"), ("keys", "list")):
        done = by_url.start(*arguments)
        assert (done.returncode, "without --url" in done.stderr) == (2, True), done


def test_a_token_is_never_sent_in_the_clear_nor_taken_from_the_command_line(by_url: Shell) -> None:
    clear = by_url.start("--url", "http://ropeway.example.com", "org", "list")
    assert (clear.returncode, "https://" in clear.stderr) == (2, True)
    assert by_url.start("--token", "rw_x", "org", "list").returncode == 2
    refused = by_url.start("org", "list", CLOUDCTL_TOKEN_FILE="", CLOUDCTL_TOKEN="rw_nothing")
    assert (refused.returncode, json.loads(refused.stderr)["code"]) == (4, "unauthenticated")


def test_a_cloud_that_does_not_answer_is_told(by_url: Shell) -> None:
    away = by_url.start("--url", "http://127.0.0.1:9", "org", "list")
    assert (away.returncode, json.loads(away.stderr)["code"]) == (6, "deadline_exceeded")


def test_doctor_finds_a_working_installation_well(world: World, in_place: Shell) -> None:
    done = in_place.start("doctor", "--address", world.stack.url)
    told = json.loads(done.stdout)
    found = {finding["name"]: finding["level"] for finding in told["findings"]}
    failed = [finding for finding in told["findings"] if finding["level"] == "fail"]
    assert (done.returncode, told["ok"], failed) == (0, True, [])
    names = ("database", "database role", "row-level security", "migrations", "address", "websockets")
    assert {found[name] for name in names} == {"ok"}


def test_doctor_tries_the_way_and_the_token(by_url: Shell) -> None:
    told = document(by_url.start("doctor"))
    assert {finding["name"]: finding["level"] for finding in told["findings"]} == {
        "address": "ok", "websockets": "ok", "token": "ok",
    }  # fmt: skip


def test_doctor_says_that_nobody_answers_there(in_place: Shell) -> None:
    done = in_place.start("doctor", "--address", "http://127.0.0.1:9")
    assert done.returncode == 1
    (finding,) = [found for found in json.loads(done.stdout)["findings"] if found["name"] == "address"]
    assert (finding["level"], finding["next_step"] != "") == ("fail", True)


def test_without_its_database_a_command_says_so_in_a_sentence(in_place: Shell) -> None:
    done = in_place.start("org", "list", "--table", DATABASE_URL=NO_DATABASE)
    assert done.returncode == 6
    assert ("database" in done.stderr, "Traceback" in done.stderr) == (True, False)
    told = json.loads(in_place.start("doctor", DATABASE_URL=NO_DATABASE).stdout)
    assert [finding["name"] for finding in told["findings"] if finding["level"] == "fail"] == ["database"]
