import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.db import connections
from django.utils.module_loading import import_string
from django_q.models import Schedule, Success

from cloud.audit.models import AuditRollup, AuditRollupCursor
from cloud.schedules import audit_rollups, declarations
from cloud.tenancy import scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def test_the_table_of_schedules_follows_the_code(db: None) -> None:
    declarations.schedules_declare()
    declared = {row.name: row.func for row in declarations.DECLARATIONS}
    Schedule.objects.filter(name="audit rollups").update(func="somebody.changed.it")
    Schedule.objects.create(name="gone", func="cloud.schedules.gone.run", schedule_type=Schedule.HOURLY)
    Schedule.objects.create(name="somebody else's", func="other.package.run", schedule_type=Schedule.HOURLY)
    declarations.schedules_declare()
    assert dict(Schedule.objects.filter(func__startswith="cloud.").values_list("name", "func")) == declared
    assert Schedule.objects.filter(name="somebody else's").exists()


def test_declaring_again_does_not_move_the_next_run(db: None) -> None:
    declarations.schedules_declare()
    before = Schedule.objects.get(name="audit rollups").next_run
    declarations.schedules_declare()
    assert Schedule.objects.get(name="audit rollups").next_run == before


@pytest.mark.parametrize("declared", declarations.DECLARATIONS, ids=lambda row: row.name)
def test_what_is_declared_can_be_called(declared: declarations.Declaration) -> None:
    assert callable(import_string(declared.func))


def test_counting_covers_every_tenant_and_repeating_it_counts_nothing_twice(acme: Tenant, globex: Tenant) -> None:
    assert audit_rollups.run() == 6
    assert audit_rollups.run() == 0
    for tenant in (acme, globex):
        with scope.organization(tenant.id):
            assert sum(AuditRollup.objects.filter(period="day").values_list("count", flat=True)) == 3
            assert AuditRollupCursor.objects.get().seq == 3


@pytest.mark.django_db(transaction=True)
def test_the_worker_runs_what_is_due(acme: Tenant) -> None:
    """A real django-q2 cluster, in its own processes, on the worker's settings."""
    program = (
        "import django; django.setup(); from django.conf import settings;"
        f"settings.DATABASES['default']['NAME'] = {connections['default'].settings_dict['NAME']!r};"
        "from django_q.tasks import async_task, result; from django_q.cluster import Cluster;"
        "cluster = Cluster(); cluster.start();"
        "task = async_task('cloud.schedules.audit_rollups.run'); counted = result(task, wait=20000);"
        "cluster.stop(); raise SystemExit(0 if counted == 3 else 1)"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "cloud.config.settings.test"}
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=environment,
        cwd=settings.ROOT,
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert Success.objects.filter(func="cloud.schedules.audit_rollups.run").count() == 1
    with scope.organization(acme.id):
        assert AuditRollupCursor.objects.get().seq == 3
