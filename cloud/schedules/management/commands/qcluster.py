"""`manage.py qcluster`, as django-q2's, with one thing more: no process of a cluster outlives the one that started it.

Left behind by a kill of the first process, a pusher goes on taking tasks from the queue for workers that are no more,
and each of them waits for its `retry` to be handed out again. Linux alone has a way to ask for this (prctl(2),
PR_SET_PDEATHSIG); elsewhere the supervisor has to end what is left.
Tests: tests/integration/cloud/schedules/test_schedules.py.
"""

import ctypes
import os
import signal
import sys
from typing import Any

from django_q.management.commands import qcluster

_PR_SET_PDEATHSIG = 1


class Command(qcluster.Command):
    """django-q2's worker, whole or gone."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the cluster until SIGTERM."""
        if sys.platform == "linux":
            _children_end_with_parents()
        super().handle(*args, **options)


def _children_end_with_parents() -> None:
    """Every process forked from now on, by this one or by its children, is killed when its parent ends."""
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def end_with_parent() -> None:
        nonlocal parent
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # It ended before it was asked to tell.
            os._exit(1)
        parent = os.getpid()

    os.register_at_fork(after_in_child=end_with_parent)
