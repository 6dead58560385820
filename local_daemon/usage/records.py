"""What work has used so far, added up.

Tests: tests/unit/daemon/usage/.
"""

from dataclasses import dataclass
from datetime import date

from local_daemon.protocol import ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """The sum over some attempts. A sum is None where no attempt reported any; `unreported` counts those that started
    and said nothing of their tokens, `partial` those that were ended before they had said all, so that a sum is never
    taken for more than it is."""

    attempts: int = 0
    unreported: int = 0
    partial: int = 0
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    duration_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentBy:
    """What one executor and model have used."""

    executor: str
    model: str | None
    spent: Spent


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentOn:
    """What the attempts that began on one day, by UTC, have used."""

    day: date
    spent: Spent


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """An attempt at work: what it uses is not on record yet, but for its time; `is_timed` while its executor works."""

    attempt_id: ids.AttemptId
    is_timed: bool
