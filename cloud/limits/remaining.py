"""What is left of each limit, and when it begins anew: for people who look at it. Pure.

Called by the admin. Tests: tests/unit/cloud/limits/test_remaining.py.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cloud.limits import allowances
from cloud.limits.allowances import NAMES, Allowance


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """One limit. `allowed` and `left` None: there is none. `begins_anew_at` None: it is given back bit by bit."""

    name: str
    allowed: int | None
    is_own: bool
    used: int
    left: int | None
    begins_anew_at: datetime | None


def remaining_of(*, own: Allowance, allowance: Allowance, used: dict[str, int], now: datetime) -> tuple[Remaining, ...]:
    """Of every limit that something is counted against, in the order in which they are set. `own` is what was set for
    the subject itself, `allowance` what holds, `used` how much by the limit's name."""
    month_ends = (allowances.month_of(now) + timedelta(days=32)).replace(day=1)
    anew = {
        "artifact_bytes_per_day": allowances.day_of(now) + timedelta(days=1),
        "cost_micros_per_month": month_ends,
    }
    return tuple(
        Remaining(
            name=name,
            allowed=getattr(allowance, name),
            is_own=getattr(own, name) is not None,
            used=used[name],
            left=None if getattr(allowance, name) is None else max(0, getattr(allowance, name) - used[name]),
            begins_anew_at=anew.get(name),
        )
        for name in NAMES
        if name in used
    )
