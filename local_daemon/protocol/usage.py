"""Request and response bodies of usage.

Bodies as in `messages`, which takes part in nothing of this. Tests: tests/contract/test_operations.py.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from local_daemon.protocol import ids, policies, wire


class UsageBy(StrEnum):
    """What is told of usage besides its sum."""

    MODEL = "model"  # each executor and model
    DAY = "day"  # each day as well


class UsageQuery(wire.WireModel):
    """Whose usage: a run's, a step's, or the repository's of the last days: so many times 24 hours, or by day so many
    days of UTC, of which today is the last."""

    run_id: Annotated[str, StringConstraints(pattern=ids.pattern_for(ids.IdPrefix.RUN))] | None = None
    step_id: Annotated[str, StringConstraints(pattern=ids.pattern_for(ids.IdPrefix.STEP))] | None = None
    days: wire.QueryInteger = Field(default=1, ge=1, le=31)
    by: UsageBy = UsageBy.MODEL


class SpentView(wire.ViewModel):
    """A sum over attempts. None is unknown, never zero; `unreported` counts the attempts that told no tokens, `partial`
    those that were ended before they had told all."""

    attempts: wire.Integer
    unreported: wire.Integer
    partial: wire.Integer = 0
    input_tokens: wire.Integer | None = None
    cached_input_tokens: wire.Integer | None = None
    output_tokens: wire.Integer | None = None
    cost_usd: wire.Number | None = None
    duration_ms: wire.Integer


class SpentByView(wire.ViewModel):
    """What one executor and model have used."""

    executor: str
    model: str | None = None
    spent: SpentView


class SpentOnView(wire.ViewModel):
    """What the attempts that began on one day have used."""

    day: str = Field(description="of UTC, as in 2026-11-21")
    spent: SpentView


class UsageView(wire.ViewModel):
    """What was used, by whom, and of which budget; `exhausted` says what of the budget is used up."""

    run_id: str | None = None
    step_id: str | None = None
    since: wire.Instant | None = None
    spent: SpentView
    by: tuple[SpentByView, ...]
    by_day: tuple[SpentOnView, ...] = Field(
        default=(), description="where asked by day: each on which an attempt began, the oldest first"
    )
    budget: policies.Budget | None = None
    exhausted: str | None = None
