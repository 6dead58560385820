"""Turns at work that has only so long a time: who comes to none in this run comes first in the next.

A turn is a batch, so that one who has much to do takes no more of the time than the others. Where a run ended stands
with its task, in the database. Called by the tasks that go through all organizations. Tests:
tests/integration/cloud/schedules/test_turns.py.
"""

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping

from cloud.schedules.models import ScheduledTask
from cloud.tenancy import scope

Turn = Callable[[], bool]
"""One batch of somebody's work; whether there may be more of it."""


def turns_take(task: str, turns: Mapping[str, Turn], *, ends_at: float) -> None:
    """Give everybody a turn, and another while they have more, until all is done or it is `ends_at` (monotonic); one at
    least. `turns` by a name that stays theirs from run to run. Call it with no scope open."""
    names = sorted(turns)
    behind = bisect_right(names, _place(task))
    waiting = deque(names[behind:] + names[:behind])
    place = ""
    while waiting:
        name = waiting.popleft()
        if turns[name]():
            waiting.append(name)
        if waiting and time.monotonic() >= ends_at:
            place = name
            break
    with scope.operator():
        ScheduledTask.objects.filter(name=task).update(place=place)


def _place(task: str) -> str:
    with scope.operator():
        return ScheduledTask.objects.filter(name=task).values_list("place", flat=True).first() or ""
