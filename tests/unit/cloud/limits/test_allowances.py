from datetime import UTC, datetime

import pytest

from cloud.limits import allowances
from cloud.limits.allowances import Allowance
from local_daemon.protocol import errors


@pytest.mark.parametrize(
    "fields",
    [
        {"calls_per_minute": 0},
        {"runs_at_once": -1},
        {"calls_burst": 5},
        {"cost_micros_per_month": 1.5},
        {"runs_at_once": True},
    ],
)
def test_what_is_no_limit_is_refused_by_name(fields: dict[str, int]) -> None:
    with pytest.raises(errors.InvalidRequest) as refused:
        Allowance(**fields)
    assert refused.value.attributes["errors"][0]["field"] in fields


@pytest.mark.parametrize("text", ["[]", "{", '{"calls_per_hour": 1}'])
def test_settings_that_are_no_limits_are_refused(text: str) -> None:
    with pytest.raises(errors.InvalidRequest):
        allowances.allowance_parse(text)


def test_settings_may_say_nothing() -> None:
    assert allowances.allowance_parse("") == Allowance()


def test_what_was_set_stands_before_the_installations_own() -> None:
    own = Allowance(calls_per_minute=60)
    default = Allowance(calls_per_minute=600, calls_burst=300, runs_at_once=5)
    assert own.or_else(default) == Allowance(calls_per_minute=60, runs_at_once=5)


def test_quotas_begin_anew_with_the_day_and_the_month() -> None:
    late = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    assert allowances.day_left_s(late) == 60
    assert allowances.month_left_s(late) == 60
    assert allowances.month_left_s(datetime(2026, 12, 1, tzinfo=UTC)) == allowances.RETRY_AFTER_S_MAX
