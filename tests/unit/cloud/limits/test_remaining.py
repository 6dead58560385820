from datetime import UTC, datetime

from cloud.limits.allowances import Allowance
from cloud.limits.remaining import remaining_of

NOW = datetime(2026, 12, 31, 13, 30, tzinfo=UTC)
USED = {"calls_per_minute": 7, "runs_at_once": 3, "artifact_bytes_per_day": 10, "cost_micros_per_month": 5}


def test_each_limit_says_what_is_left_and_when_it_begins_anew() -> None:
    own = Allowance(runs_at_once=2, cost_micros_per_month=8)
    allowance = own.or_else(Allowance(calls_per_minute=60))
    calls, runs, artifacts, cost = remaining_of(own=own, allowance=allowance, used=USED, now=NOW)
    assert (calls.left, calls.is_own, calls.begins_anew_at) == (53, False, None)
    assert (runs.left, runs.is_own, runs.begins_anew_at) == (0, True, None)
    assert (artifacts.allowed, artifacts.left) == (None, None)
    assert artifacts.begins_anew_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert (cost.left, cost.begins_anew_at) == (3, datetime(2027, 1, 1, tzinfo=UTC))
