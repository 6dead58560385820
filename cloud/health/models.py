"""What processes tell each other of the installation: when a worker last did something, which proxy is not believed.
Of no tenant; the operator's only.

Tests: tests/integration/cloud/health/.
"""

from django.db import models


class WorkerBeat(models.Model):
    """The last minute's task that a worker did: the scheduler queued it, a worker took it up, and it could write."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}"


class UnheardProxy(models.Model):
    """The last that told whom it asks for in X-Forwarded-For while nobody is believed."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    at = models.DateTimeField()
    peer = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.peer} at {self.at:%Y-%m-%d %H:%M:%S}"
