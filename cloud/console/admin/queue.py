"""The worker's queue, schedules and results, for the installation's operators (Django's own permissions)."""

from django.contrib import admin
from django_q import admin as queue
from django_q.models import Failure, OrmQ, Schedule, Success
from unfold.admin import ModelAdmin

for model in (Failure, OrmQ, Schedule, Success):
    admin.site.unregister(model)


@admin.register(Schedule)
class ScheduleAdmin(queue.ScheduleAdmin, ModelAdmin):
    """Periodic work, and how its last run went. Declared in code: see `cloud.schedules.declarations`."""


@admin.register(Success)
class SuccessAdmin(queue.TaskAdmin, ModelAdmin):
    """What the worker did."""


@admin.register(Failure)
class FailureAdmin(queue.FailAdmin, ModelAdmin):
    """What the worker failed at."""


@admin.register(OrmQ)
class QueueAdmin(queue.QueueAdmin, ModelAdmin):
    """What waits for the worker."""
