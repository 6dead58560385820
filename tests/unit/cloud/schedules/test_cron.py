from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.schedules import cron

UTC_ZONE = ZoneInfo("UTC")


def due(expression: str, after: str, zone: str = "UTC") -> str:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    return cron.cron_parse(expression).next_after(moment, ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M")


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("* * * * *", "2026-01-01T10:00:30", "2026-01-01T10:01"),
        ("0 3 * * *", "2026-01-01T03:00:00", "2026-01-02T03:00"),
        ("*/15 9-17 * * 1-5", "2026-01-02T17:45:00", "2026-01-05T09:00"),
        ("30 4 1,15 * *", "2026-01-01T04:30:00", "2026-01-15T04:30"),
        ("0 0 * * 7", "2026-01-01T00:00:00", "2026-01-04T00:00"),
        ("0 0 13 * 5", "2026-01-03T00:00:00", "2026-01-09T00:00"),
        ("0 0 29 2 *", "2026-03-01T00:00:00", "2028-02-29T00:00"),
        ("5/20 * * * *", "2026-01-01T00:06:00", "2026-01-01T00:25"),
    ],
)
def test_the_next_time_something_is_due(expression: str, after: str, expected: str) -> None:
    assert due(expression, after) == expected


def test_times_are_those_of_the_zone() -> None:
    assert due("0 9 * * *", "2026-07-01T00:00:00", "Europe/Berlin") == "2026-07-01T07:00"
    assert due("0 9 * * *", "2026-12-01T00:00:00", "Europe/Berlin") == "2026-12-01T08:00"


def test_a_skipped_hour_is_not_due_and_a_repeated_one_is_due_once() -> None:
    # 29 March 2026: 02:00 becomes 03:00. 25 October 2026: 03:00 becomes 02:00.
    assert due("30 2 * * *", "2026-03-28T12:00:00", "Europe/Berlin") == "2026-03-30T00:30"
    assert due("30 2 * * *", "2026-10-24T12:00:00", "Europe/Berlin") == "2026-10-25T00:30"
    assert due("30 2 * * *", "2026-10-25T00:30:00", "Europe/Berlin") == "2026-10-26T01:30"


@pytest.mark.parametrize(
    "expression", ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "5-1 * * * *", "*/0 * * * *", "a * * * *"]
)
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(cron.InvalidCron):
        cron.cron_parse(expression)


def test_what_is_never_due_is_said_so() -> None:
    with pytest.raises(cron.InvalidCron, match="never"):
        due("0 0 31 2 *", "2026-01-01T00:00:00")


@settings(max_examples=60, deadline=None)
@given(
    minute=st.sampled_from(["*", "0", "*/7", "10-20", "3,30,59"]),
    hour=st.sampled_from(["*", "0", "*/5", "22-23"]),
    weekday=st.sampled_from(["*", "0", "1-5", "6,7"]),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001 - made aware below
)
def test_nothing_due_is_passed_over(minute: str, hour: str, weekday: str, start: datetime) -> None:
    """Minute by minute, as a clock does it."""
    parsed = cron.cron_parse(f"{minute} {hour} * * {weekday}")
    moment = start.replace(tzinfo=UTC)
    found = parsed.next_after(moment, UTC_ZONE)
    walked = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while not (
        walked.minute in parsed.minutes and walked.hour in parsed.hours and walked.isoweekday() % 7 in parsed.weekdays
    ):
        walked += timedelta(minutes=1)
    assert found == walked
