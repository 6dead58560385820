"""The worker's sign of life, as its schedule gives it."""

import pytest
from django_q.models import Schedule

from cloud.health import worker
from cloud.health.models import WorkerBeat
from cloud.schedules import declarations, worker_beat
from cloud.tenancy import scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def test_the_minutes_task_says_that_a_worker_works() -> None:
    assert worker.worker_beat_age_s() is None
    worker_beat.run()
    worker_beat.run()
    age_s = worker.worker_beat_age_s()
    assert age_s is not None and age_s < 60


def test_it_is_due_each_minute() -> None:
    declarations.schedules_declare()
    declared = Schedule.objects.get(name="worker beat")
    assert (declared.schedule_type, declared.minutes) == (Schedule.MINUTES, 1)


def test_no_tenant_sees_it(acme: Tenant) -> None:
    worker_beat.run()
    with scope.organization(acme.id):
        assert not WorkerBeat.objects.exists()
