"""What a source of polled items is: pages behind a cursor, told again for a while rather than ever left out.

A source asks and applies; it keeps no state and knows no clock, no transaction and no retry: `rounds` does.
Deliberately not a queue or a webhook: those push. Tests: tests/integration/cloud/polling/.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that a source told. `key` names it and its version: the same key is the same news."""

    key: str
    told: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some items, in the source's order, and the cursor that begins behind them. `is_last`: nothing more for now."""

    items: Sequence[Item]
    cursor: dict[str, Any] = field(default_factory=dict)
    is_last: bool = True


class SourceFailed(Exception):
    """The source did not answer as it should; it is asked again later. `code` says what, `retry_after_s` when."""

    def __init__(self, code: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.retry_after_s = retry_after_s


class PolledSource(Protocol):
    """One source, for one organization and subject."""

    @property
    def name(self) -> str:
        """Which kind of source; stable, for its state is found by it."""

    @property
    def subject_id(self) -> str:
        """Which one of the kind; empty for the only one."""

    @property
    def every(self) -> timedelta:
        """How long a round that went well is followed by none."""

    @property
    def overlap(self) -> timedelta:
        """How far back a round asks again: items that appear late in a place already passed are found then. What is
        told twice within ten times this has one effect."""

    def fetch(self, cursor: dict[str, Any], *, overlap: timedelta) -> Page:
        """The page behind the cursor; `{}` begins at the beginning. `overlap` stands on a round's first page, else
        zero. Outside any transaction. Raises SourceFailed."""

    def apply(self, items: Sequence[Item]) -> None:
        """Let items take effect that did not yet; in the transaction that moves the cursor, in the tenant's scope."""
