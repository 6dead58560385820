"""When something is due: the five fields of a cron expression, in a time zone. Pure.

`minute hour day-of-month month day-of-week`, each `*`, a number, a range `a-b`, a step `*/n` or `a-b/n`, or a list of
these; Sunday is 0 or 7; where both days are restricted either will do, as in Vixie's cron. A local time that a clock
change skips is not due that day; one that it repeats is due once. Tests: tests/unit/cloud/schedules/test_cron.py.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_PART = re.compile(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/(\d{1,2}))?")
_DAYS_AHEAD = 366 * 8 + 2
"""Far enough for a 29th of February, a turn of the century included."""


class InvalidCron(ValueError):
    """Not a cron expression of five fields, or one that is never due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """A parsed expression. `either_day`: the day of the month or that of the week will do."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def next_after(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """The first moment after `moment` (aware) at which it is due, in UTC. Raises InvalidCron when there is none."""
        local = moment.astimezone(zone)
        for ahead in range(_DAYS_AHEAD):
            day = local.date() + timedelta(days=ahead)
            if self._is_day(day):
                for due in self._on(day, zone):
                    if due > moment:
                        return due
        raise InvalidCron("This is never due.")

    def _is_day(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return of_month or of_week if self.either_day else of_month and of_week

    def _on(self, day: date, zone: ZoneInfo) -> Iterator[datetime]:
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                naive = datetime.combine(day, time(hour, minute))
                due = naive.replace(tzinfo=zone).astimezone(UTC)
                if due.astimezone(zone).replace(tzinfo=None) == naive:
                    yield due


def cron_parse(text: str) -> Cron:
    """The expression. Raises InvalidCron."""
    fields = text.split()
    if len(fields) != len(_RANGES):
        raise InvalidCron("A cron expression has five fields: minute, hour, day, month, weekday.")
    minutes, hours, days, months, weekdays = (
        _values(field, low, high) for field, (low, high) in zip(fields, _RANGES, strict=True)
    )
    return Cron(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset(day % 7 for day in weekdays),
        either_day=not fields[2].startswith("*") and not fields[4].startswith("*"),
    )


def _values(field: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise InvalidCron(f"{part!r} is no part of a cron expression.")
        first, last, step = (int(group) if group else None for group in match.groups())
        if first is None:
            start, end = low, high
        else:
            start, end = first, last if last is not None else (high if step else first)
        if not low <= start <= end <= high or step == 0:
            raise InvalidCron(f"{part!r} is out of range: {low} to {high}.")
        found.update(range(start, end + 1, step or 1))
    return frozenset(found)
