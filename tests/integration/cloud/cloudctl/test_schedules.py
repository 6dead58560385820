"""`cloudctl schedule`: runs that begin by themselves, from a shell."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cloud.audit.models import AuditEvent
from cloud.cloudctl import main
from cloud.tenancy import scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def run(verb: str, *arguments: str, given: str | None = None) -> Result:
    command = ["schedule", verb, "--organization", "acme", *arguments, "--json"]
    return CliRunner().invoke(main.cloudctl, command, input=given, catch_exceptions=False)


def told(verb: str, *arguments: str, given: str | None = None) -> Any:
    result = run(verb, *arguments, given=given)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


NIGHTLY = ("--name", "nightly", "--cron", "0 3 * * *", "--goal", "Tidy up.", "--executor", "codex")


@pytest.fixture
def nightly(acme: Tenant) -> dict[str, Any]:
    made: dict[str, Any] = told("create", "--project", str(acme.project.id), *NIGHTLY)
    return made


def test_it_is_made_shown_changed_paused_resumed_and_deleted(nightly: dict[str, Any]) -> None:
    assert (nightly["status"], nightly["made_by"], len(nightly["tasks"])) == ("active", "cloudctl", 1)
    assert [row["run_schedule_id"] for row in told("list")["items"]] == [nightly["run_schedule_id"]]
    assert told("show", nightly["run_schedule_id"])["tasks"] == [{"goal": "Tidy up.", "executor": "codex"}]
    changed = told(
        "update", nightly["run_schedule_id"], "--version", "1", "--cron", "0 4 * * *", "--when-away", "queue"
    )
    assert (changed["cron"], changed["when_away"], changed["version"]) == ("0 4 * * *", "queue", 2)
    late = run("update", nightly["run_schedule_id"], "--version", "1", "--name", "late")
    assert (late.exit_code, json.loads(late.stderr)["code"]) == (5, "precondition_failed")
    assert told("pause", nightly["run_schedule_id"])["status"] == "paused"
    assert told("resume", nightly["run_schedule_id"])["status"] == "active"
    assert told("delete", nightly["run_schedule_id"])["status"] == "deleted"
    assert told("list")["items"] == []


def test_it_can_begin_at_one_time_with_tasks_from_a_file(acme: Tenant, tmp_path: Path) -> None:
    tasks = [{"goal": "One.", "executor": "codex"}, {"goal": "Two.", "executor": "codex"}]
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps(tasks))
    options = ["--project", str(acme.project.id), "--name", "once", "--at", "2035-12-01T06:00+01:00"]
    made = told("create", *options, "--tasks", str(file))
    assert (len(made["tasks"]), made["cron"]) == (2, "")
    assert datetime.fromisoformat(made["starts_at"]) == datetime(2035, 12, 1, 5, tzinfo=UTC)
    again = told("update", made["run_schedule_id"], "--version", "1", "--cron", "0 3 * * *")
    assert (again["starts_at"], again["cron"]) == (None, "0 3 * * *")


def test_it_can_be_a_whole_manifest(acme: Tenant) -> None:
    steps = [{"name": name, "task": {"goal": name, "executor": "codex"}} for name in ("look", "mend")]
    manifest = json.dumps({"objective": "In order.", "order": "sequence", "steps": steps})
    options = ["--project", str(acme.project.id), "--name", "both", "--cron", "0 3 * * *", "--manifest", "-"]
    made = told("create", *options, given=manifest)
    assert [step["name"] for step in made["manifest"]["steps"]] == ["look", "mend"]
    changed = told("update", made["run_schedule_id"], "--manifest", "-", given=manifest.replace("In order.", "Again."))
    assert changed["manifest"]["objective"] == "Again."


def test_it_is_asked_to_begin_at_once_unless_it_is_paused(acme: Tenant, nightly: dict[str, Any]) -> None:
    fired = told("run", nightly["run_schedule_id"])
    assert fired["state"] == "waiting"
    with scope.organization(acme.id):
        assert AuditEvent.objects.filter(event_type="run_schedule:asked", actor_label="cloudctl").exists()
    told("pause", nightly["run_schedule_id"])
    assert run("run", nightly["run_schedule_id"]).exit_code == 5


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--goal", "x"), "--executor"),
        ((), "--goal, --tasks and --manifest"),
        (("--tasks", "-"), "not valid JSON"),
        (("--goal", "x", "--executor", "codex", "--cron", "every day"), "cron"),
    ],
)
def test_what_is_missing_or_wrong_is_said(acme: Tenant, more: tuple[str, ...], said: str) -> None:
    result = run("create", "--project", str(acme.project.id), "--name", "n", *more, given="{")
    assert result.exit_code == 2
    assert said in result.stderr
