"""Who has how many turns while there is only so much time."""

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from cloud.schedules import turns
from cloud.schedules.models import ScheduledTask, TaskOutcome
from cloud.tenancy import scope

pytestmark = pytest.mark.django_db

NOW = -math.inf
NEVER = math.inf


@pytest.fixture(autouse=True)
def task(db: None) -> None:
    with scope.operator():
        ScheduledTask.objects.create(name="sweeping", outcome=TaskOutcome.RUNNING, started_at=datetime.now(UTC))


def taken(batches: Mapping[str, int], *, ends_at: float) -> list[str]:
    """Who had a turn, one after the other; each has so many batches."""
    left, had = dict(batches), []

    def turn(name: str) -> bool:
        had.append(name)
        left[name] -= 1
        return left[name] > 0

    turns.turns_take("sweeping", {name: lambda name=name: turn(name) for name in left}, ends_at=ends_at)
    return had


def test_everybody_has_a_turn_before_anybody_has_another() -> None:
    assert taken({"a": 3, "b": 1, "c": 2}, ends_at=NEVER) == ["a", "b", "c", "a", "c", "a"]


def test_a_run_whose_time_is_over_is_taken_up_behind_its_last_turn() -> None:
    everybody = {"a": 9, "b": 9, "c": 9}
    assert [taken(everybody, ends_at=NOW) for _ in range(4)] == [["a"], ["b"], ["c"], ["a"]]


def test_who_went_meanwhile_and_who_came_confuse_nobody() -> None:
    assert taken({"a": 9, "c": 9}, ends_at=NOW) == ["a"]
    assert taken({"b": 9, "c": 9}, ends_at=NOW) == ["b"]
    assert taken({"a": 1, "bb": 1, "c": 1}, ends_at=NEVER) == ["bb", "c", "a"]


def test_when_all_is_done_the_next_run_begins_anew() -> None:
    assert taken({"a": 9, "b": 9}, ends_at=NOW) == ["a"]
    assert taken({"a": 1, "b": 1}, ends_at=NEVER) == ["b", "a"]
    assert taken({"a": 1, "b": 1}, ends_at=NEVER) == ["a", "b"]


def test_nobody_at_all_is_no_trouble() -> None:
    assert taken({}, ends_at=time.monotonic()) == []
