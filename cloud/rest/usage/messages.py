"""Usage and limits on the wire. Tests: tests/integration/cloud/rest/test_usage.py."""

from dataclasses import asdict
from datetime import date
from typing import Any, Self
from uuid import UUID

from pydantic import Field

from cloud.limits import allowances
from cloud.limits.allowances import Allowance
from cloud.limits.models import UsageKind
from local_daemon.protocol import messages, wire


class UsageQuery(messages.PageQuery):
    """Usage, the newest day first: of one kind or token, from the day `since` to before the day `until` (UTC)."""

    kind: UsageKind | None = None
    token_id: UUID | None = None
    since: date | None = None
    until: date | None = None


class UsageView(wire.ViewModel):
    """How much of something a token used in one day; null: what people and the installation used."""

    day: date
    kind: UsageKind
    token_id: UUID | None
    amount: int


class UsagePage(wire.ViewModel):
    """Usage by day and token."""

    items: tuple[UsageView, ...]
    next_cursor: str | None


class CostView(wire.ViewModel):
    """What one of them used; null: it is not known which."""

    id: str | None
    name: str | None
    attempts: int
    input_tokens: int
    output_tokens: int
    cost_micros: int


class Costs(wire.ViewModel):
    """The dearest first, counted from `since` on; not `is_complete`: there was too much to look at."""

    items: tuple[CostView, ...]
    since: wire.Instant
    is_complete: bool


class AllowanceGiven(wire.WireModel):
    """What a subject may use; what is null or left out falls back to the installation's own. All of it is replaced."""

    calls_per_minute: wire.Integer | None = Field(default=None, ge=1, le=allowances.CALLS_MAX)
    calls_burst: wire.Integer | None = Field(default=None, ge=1, le=allowances.CALLS_MAX)
    runs_at_once: wire.Integer | None = Field(default=None, ge=0, le=allowances.CALLS_MAX)
    artifact_bytes_per_day: wire.Integer | None = Field(default=None, ge=0, le=allowances.AMOUNT_MAX)
    cost_micros_per_month: wire.Integer | None = Field(default=None, ge=0, le=allowances.AMOUNT_MAX)

    def allowance(self) -> Allowance:
        """As the services take it. Raises InvalidRequest."""
        return Allowance(**self.model_dump())


class AllowanceView(wire.ViewModel):
    """What a subject may use; null: no limit."""

    calls_per_minute: int | None
    calls_burst: int | None
    runs_at_once: int | None
    artifact_bytes_per_day: int | None
    cost_micros_per_month: int | None

    @classmethod
    def of(cls, allowance: Allowance) -> Self:
        """The view of an allowance."""
        facts: dict[str, Any] = asdict(allowance)
        return cls(**facts)


class LimitsView(wire.ViewModel):
    """What a subject may use, and what it uses now. `own` was set for it; `allowance` also holds the installation's
    own. `version` 0: nothing was set."""

    token_id: UUID | None
    version: int
    own: AllowanceView
    allowance: AllowanceView
    calls_last_minute: int
    runs_under_way: int
    artifact_bytes_today: int
    cost_micros_this_month: int
