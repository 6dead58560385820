"""The worker's queue, schedules and results, for the installation's operators (Django's own permissions).

To look at only: what is periodic is declared in code (`cloud.schedules.declarations`), and whoever could write a row
here could have the worker run any function by its name. Tests: tests/integration/cloud/console/test_queue.py.
"""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django_q import admin as queue
from django_q.models import Failure, OrmQ, Schedule, Success
from unfold.admin import ModelAdmin

for model in (Failure, OrmQ, Schedule, Success):
    admin.site.unregister(model)


class LookedAt:
    """A page of the queue that shows and changes nothing; handing a task out again is the worker's own business."""

    actions = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Tasks come from code."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """And are what they were."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """And stay until the worker lets them go."""
        return False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """None, not even those of the site."""
        return {}


@admin.register(Schedule)
class ScheduleAdmin(LookedAt, queue.ScheduleAdmin, ModelAdmin):
    """Periodic work, and how its last run went. Declared in code: see `cloud.schedules.declarations`."""


@admin.register(Success)
class SuccessAdmin(LookedAt, queue.TaskAdmin, ModelAdmin):
    """What the worker did."""


@admin.register(Failure)
class FailureAdmin(LookedAt, queue.FailAdmin, ModelAdmin):
    """What the worker failed at."""


@admin.register(OrmQ)
class QueueAdmin(LookedAt, queue.QueueAdmin, ModelAdmin):
    """What waits for the worker."""
