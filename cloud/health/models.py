"""When a worker last did something, as the serving processes can see it. Of no tenant; the operator's only.

Tests: tests/integration/cloud/health/.
"""

from django.db import models


class WorkerBeat(models.Model):
    """The last minute's task that a worker did: the scheduler queued it, a worker took it up, and it could write."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}"
