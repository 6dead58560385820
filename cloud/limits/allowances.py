"""What a subject may use: the values that a limit can take, and an installation's own for whoever has none.

Pure. None says that there is no limit. Called by `standings`, `services` and the settings. Tests:
tests/unit/cloud/limits/test_allowances.py.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from local_daemon.protocol import errors

AMOUNT_MAX = 2**53
"""The largest limit: what every reader of JSON still counts exactly."""
CALLS_MAX = 1_000_000
RETRY_AFTER_S_MAX = 86_400.0
"""A quota that begins anew in a month says a day: whoever waits asks again tomorrow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What an organization or a token may use. `calls_burst` None: a tenth of a minute's calls, 10 at least."""

    calls_per_minute: int | None = None
    calls_burst: int | None = None
    runs_at_once: int | None = None
    artifact_bytes_per_day: int | None = None
    cost_micros_per_month: int | None = None

    def __post_init__(self) -> None:
        """Raises InvalidRequest for what is no limit."""
        faults = [
            {"field": name, "message": f"A whole number from {lowest} to {highest}, or nothing."}
            for name, (lowest, highest) in _BOUNDS.items()
            if not _is_within(getattr(self, name), lowest, highest)
        ]
        if self.calls_burst is not None and self.calls_per_minute is None:
            faults.append({"field": "calls_burst", "message": "Says nothing without calls_per_minute."})
        if faults:
            raise errors.InvalidRequest("These limits are none; each field is named in errors.", errors=faults)

    @property
    def rate_per_s(self) -> float:
        """Calls a second; 0 without a limit."""
        return (self.calls_per_minute or 0) / 60

    @property
    def burst(self) -> int:
        """How many calls may come at once after a pause."""
        return self.calls_burst or max(10, (self.calls_per_minute or 0) // 10)

    def or_else(self, default: "Allowance") -> "Allowance":
        """This, and the default's where this says nothing; a rate and its burst go together."""
        own, other = asdict(self), asdict(default)
        if self.calls_per_minute is not None:
            other["calls_burst"] = None
        return Allowance(**{name: other[name] if own[name] is None else own[name] for name in own})

    def within(self, other: "Allowance") -> "Allowance":
        """The narrower of both, limit by limit; a rate and its burst go together."""
        rates = [one for one in (self, other) if one.calls_per_minute is not None]
        rate = min(rates, key=lambda one: one.rate_per_s, default=self)
        return Allowance(
            calls_per_minute=rate.calls_per_minute,
            calls_burst=rate.calls_burst,
            **{name: _lower(getattr(self, name), getattr(other, name)) for name in _BOUNDS if name not in _RATE},
        )


_RATE = frozenset({"calls_per_minute", "calls_burst"})
_BOUNDS: Mapping[str, tuple[int, int]] = {
    "calls_per_minute": (1, CALLS_MAX),
    "calls_burst": (1, CALLS_MAX),
    "runs_at_once": (0, CALLS_MAX),
    "artifact_bytes_per_day": (0, AMOUNT_MAX),
    "cost_micros_per_month": (0, AMOUNT_MAX),
}
NAMES = tuple(field.name for field in fields(Allowance))


def _lower(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


def _is_within(value: Any, lowest: int, highest: int) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest)


def allowance_parse(text: str) -> Allowance:
    """An allowance as a JSON object, as settings give it; nothing for an empty text. Raises InvalidRequest."""
    try:
        found = json.loads(text or "{}")
    except ValueError as error:
        raise errors.InvalidRequest("Limits are given as one JSON object.") from error
    if not isinstance(found, dict) or not found.keys() <= set(NAMES):
        raise errors.InvalidRequest(f"Limits are one JSON object with any of {', '.join(NAMES)}.")
    return Allowance(**found)


def day_of(now: datetime) -> datetime:
    """When the day began, UTC."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def month_of(now: datetime) -> datetime:
    """When the month began, UTC."""
    return day_of(now).replace(day=1)


def day_left_s(now: datetime) -> float:
    """Until the day's quota begins anew."""
    return (day_of(now) + timedelta(days=1) - now).total_seconds()


def month_left_s(now: datetime) -> float:
    """Until the month's quota begins anew, a day at most."""
    following = (month_of(now) + timedelta(days=32)).replace(day=1)
    return min(RETRY_AFTER_S_MAX, (following - now).total_seconds())
