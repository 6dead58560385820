"""The worker's queue is looked at by operators, and changed by nobody: not even by them."""

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django_q.models import Failure, OrmQ, Schedule, Success

from tests.integration.cloud.console.conftest import SignIn

pytestmark = pytest.mark.django_db

MODELS = [Failure, OrmQ, Schedule, Success]


@pytest.fixture
def operator(db: None, sign_in: SignIn) -> Client:
    return sign_in()


@pytest.mark.parametrize("model", MODELS)
def test_an_operator_looks_and_is_offered_no_act(operator: Client, model: type) -> None:
    page = operator.get(reverse(f"admin:django_q_{model._meta.model_name}_changelist"))
    assert page.status_code == 200
    assert 'name="action"' not in page.content.decode()
    assert not admin.site._registry[model].get_actions(page.wsgi_request)


@pytest.mark.parametrize("model", MODELS)
def test_an_operator_makes_none(operator: Client, model: type) -> None:
    address = reverse(f"admin:django_q_{model._meta.model_name}_add")
    assert operator.get(address).status_code == 403
    assert operator.post(address, {"name": "x", "func": "os.system", "args": "('true',)"}).status_code == 403
    assert model.objects.count() == (Schedule.objects.filter(func__startswith="cloud.").count() * (model is Schedule))


def test_an_operator_changes_and_deletes_no_schedule(operator: Client) -> None:
    row = Schedule.objects.create(name="ours", func="cloud.schedules.runner.run", schedule_type=Schedule.MINUTES)
    shown = operator.get(reverse("admin:django_q_schedule_change", args=[row.pk]))
    assert shown.status_code == 200
    assert 'name="_save"' not in shown.content.decode()
    changed = operator.post(reverse("admin:django_q_schedule_change", args=[row.pk]), {"func": "os.system"})
    deleted = operator.post(reverse("admin:django_q_schedule_delete", args=[row.pk]), {"post": "yes"})
    chosen = {"action": "delete_selected", "_selected_action": str(row.pk), "post": "yes"}
    operator.post(reverse("admin:django_q_schedule_changelist"), chosen)
    assert (changed.status_code, deleted.status_code) == (403, 403)
    assert Schedule.objects.get(pk=row.pk).func == "cloud.schedules.runner.run"


def test_what_failed_is_not_handed_out_again_from_here(operator: Client) -> None:
    operator.post(reverse("admin:django_q_failure_changelist"), {"action": "resubmit_task", "_selected_action": "1"})
    assert OrmQ.objects.count() == 0
