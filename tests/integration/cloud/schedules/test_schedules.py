import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from django.conf import settings
from django.db import connection, connections
from django.utils.module_loading import import_string
from django_q.models import Schedule
from django_q.tasks import async_task

from cloud.audit.models import AuditRollup, AuditRollupCursor
from cloud.cloudctl import exits, main
from cloud.schedules import audit_retention, audit_rollups, declarations, runner, selectors
from cloud.schedules.models import ScheduledTask
from cloud.tenancy import scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def test_the_table_of_schedules_follows_the_code(db: None) -> None:
    declarations.schedules_declare()
    declared = {(name, declarations.RUNNER, repr((name,))) for name in declarations.DECLARATIONS}
    Schedule.objects.filter(name="audit rollups").update(minutes=1)
    Schedule.objects.create(name="gone", func="cloud.schedules.gone.run", schedule_type=Schedule.HOURLY)
    Schedule.objects.create(name="somebody else's", func="other.package.run", schedule_type=Schedule.HOURLY)
    declarations.schedules_declare()
    assert set(Schedule.objects.filter(func__startswith="cloud.").values_list("name", "func", "args")) == declared
    assert Schedule.objects.filter(name="somebody else's").exists()


def test_declaring_again_does_not_move_the_next_run(db: None) -> None:
    declarations.schedules_declare()
    before = Schedule.objects.get(name="audit rollups").next_run
    declarations.schedules_declare()
    assert Schedule.objects.get(name="audit rollups").next_run == before


@pytest.mark.parametrize("declared", declarations.DECLARATIONS.values(), ids=lambda row: row.name)
def test_what_is_declared_can_be_called(declared: declarations.Declaration) -> None:
    assert callable(import_string(declared.func))


@pytest.mark.parametrize(
    ("every", "offset", "now", "due"),
    [
        (60, 5, "2026-01-02T10:04:59", "2026-01-02T10:05:00"),
        (60, 5, "2026-01-02T10:05:00", "2026-01-02T11:05:00"),
        (1440, 187, "2026-01-02T03:06:00", "2026-01-02T03:07:00"),
        (1440, 187, "2026-01-02T03:07:00", "2026-01-03T03:07:00"),
        (1, 0, "2026-01-02T23:59:30", "2026-01-03T00:00:00"),
    ],
)
def test_a_task_is_due_at_its_offset(every: int, offset: int, now: str, due: str) -> None:
    declared = declarations.Declaration(name="x", func="y", every_minutes=every, offset_minutes=offset)
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert declarations.next_run(declared, now=moment).replace(tzinfo=None).isoformat() == due


def test_counting_covers_every_tenant_and_repeating_it_counts_nothing_twice(acme: Tenant, globex: Tenant) -> None:
    assert audit_rollups.run() == 6
    assert audit_rollups.run() == 0
    for tenant in (acme, globex):
        with scope.organization(tenant.id):
            assert sum(AuditRollup.objects.filter(period="day").values_list("count", flat=True)) == 3
            assert AuditRollupCursor.objects.get().seq == 3


def test_a_run_is_recorded_with_what_it_told_and_when_the_next_one_is_due(acme: Tenant) -> None:
    declarations.schedules_declare()
    assert runner.run("audit rollups") == "3"
    (view,) = [task for task in selectors.task_list() if task.name == "audit rollups"]
    assert view.last is not None
    assert (view.last.outcome, view.last.told, view.last.runs) == ("ok", "3", 1)
    assert view.last.duration_ms is not None
    assert view.next_run_at is not None
    assert view.next_run_at.minute % 5 == 0


def test_a_failure_is_recorded_by_its_kind_alone_and_raised(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(audit_rollups, "run", fail)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            runner.run("audit rollups")
    with scope.operator():
        row = ScheduledTask.objects.get(name="audit rollups")
    assert (row.outcome, row.told, row.failures_in_a_row) == ("failed", "ZeroDivisionError", 2)


@pytest.mark.django_db(transaction=True)
def test_a_task_never_runs_twice_at_once(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    began, may_end = threading.Event(), threading.Event()

    def slow() -> int:
        began.set()
        assert may_end.wait(60)
        return 1

    def elsewhere() -> str | None:
        try:
            return runner.run("audit rollups")
        finally:
            connection.close()

    monkeypatch.setattr(audit_rollups, "run", slow)
    with ThreadPoolExecutor(1) as thread:
        other = thread.submit(elsewhere)
        assert began.wait(60)
        assert runner.run("audit rollups") is None
        may_end.set()
        assert other.result() == "1"


def test_nobody_runs_what_is_not_declared(db: None) -> None:
    with pytest.raises(runner.UnknownTask):
        runner.run("rm")


def test_what_came_of_tasks_is_the_operators_alone(acme: Tenant) -> None:
    runner.run("audit rollups")
    with scope.organization(acme.id):
        assert not ScheduledTask.objects.exists()


def test_the_commands_list_and_run(acme: Tenant) -> None:
    shell = CliRunner()
    told = shell.invoke(main.cloudctl, ["task", "run", "audit rollups", "--json"])
    assert json.loads(told.stdout)["told"] == "3"
    answered = shell.invoke(main.cloudctl, ["task", "list", "--json"], catch_exceptions=False)
    listed = {row["name"]: row for row in json.loads(answered.stdout)["items"]}
    assert set(listed) == set(declarations.DECLARATIONS)
    assert listed["audit rollups"]["outcome"] == "ok"
    assert shell.invoke(main.cloudctl, ["task", "run", "rm"]).exit_code == exits.Exit.NOT_FOUND


def test_retention_prunes_nothing_where_nobody_said_so(acme: Tenant) -> None:
    assert audit_retention.run() == 0


class Cluster:
    """A real django-q2 cluster in its own processes, on the test's database, impatient."""

    PROGRAM = (
        "from django.conf import settings; settings.Q_CLUSTER.update(timeout=3, retry=4, workers=1, poll=0.1);"
        "import django; django.setup(); settings.DATABASES['default']['NAME'] = {name!r};"
        "from django.core.management import call_command; call_command('qcluster')"
    )

    def __init__(self, **environment: str) -> None:
        name = connections["default"].settings_dict["NAME"]
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", self.PROGRAM.format(name=name)],
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "cloud.config.settings.test", **environment},
            cwd=settings.ROOT,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill_first(self) -> None:
        """As the kernel does where memory is short: that process alone."""
        self._process.kill()
        self._process.wait()

    def running(self) -> int:
        """How many processes of it there are."""
        stats = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                stats.append(stat.read_text().rpartition(")")[2].split())
        return sum(state != "Z" and int(session) == self._process.pid for state, _, _, session, *_ in stats)

    def kill(self) -> None:
        """As a power cut does: every process of it, at once."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def recorded_run(until: Callable[[ScheduledTask], bool]) -> ScheduledTask:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        with scope.operator():
            row = ScheduledTask.objects.filter(name="audit rollups").first()
        if row is not None and until(row):
            return row
        time.sleep(0.1)
    raise AssertionError(f"not in time: {row and vars(row)}")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a supervisor has to end what is left")
@pytest.mark.django_db(transaction=True)
def test_nothing_of_a_worker_outlives_its_first_process_and_takes_tasks_for_nobody(acme: Tenant) -> None:
    cluster = Cluster()
    try:
        async_task(declarations.RUNNER, "audit rollups")
        recorded_run(lambda row: row.outcome == "ok")
        assert cluster.running() > 1
        cluster.kill_first()
        deadline = time.monotonic() + 10
        while cluster.running() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert cluster.running() == 0
    finally:
        with suppress(ProcessLookupError):
            cluster.kill()


@pytest.mark.django_db(transaction=True)
def test_a_task_whose_worker_is_killed_is_taken_up_again_and_done_once(acme: Tenant) -> None:
    async_task(declarations.RUNNER, "audit rollups")
    # Its worker kills itself right before it would have committed.
    first = Cluster(ROPEWAY_ENV="test", ROPEWAY_FAILPOINT="cloud.audit_rollup.before_commit")
    try:
        recorded_run(lambda row: row.outcome == "running")
    finally:
        first.kill()
    with scope.organization(acme.id):
        assert not AuditRollup.objects.exists()
    second = Cluster()
    try:
        row = recorded_run(lambda row: row.outcome == "ok")
    finally:
        second.kill()
    assert row.killed >= 1
    with scope.organization(acme.id):
        assert sum(AuditRollup.objects.filter(period="day").values_list("count", flat=True)) == 3
    # The workers brought the table of schedules up to date when they started.
    assert Schedule.objects.filter(func=declarations.RUNNER).count() == len(declarations.DECLARATIONS)


def test_the_queue_never_hands_out_a_task_that_may_still_run() -> None:
    assert settings.Q_CLUSTER["retry"] > settings.Q_CLUSTER["timeout"]
