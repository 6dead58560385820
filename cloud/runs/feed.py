"""Telling who follows that the feed grew: of which organization, in which project, of which runs.

A NOTIFY in the commit that lets it grow: ids only. A hint: who follows reads the feed itself, in their own scope. Told
by `services.events_apply`; the console's open pages listen. Tests: tests/unit/cloud/console/test_waking.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from cloud.tenancy import hints
from local_daemon.protocol import ids

CHANNEL = "ropeway_feed"
RUNS_NAMED_MAX = 100
"""A payload holds 8,000 bytes: where more runs than that moved, it says that any may have."""
_ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Where the feed grew. `project_id` None: anywhere in the organization; `run_ids` None: of any run; empty: none."""

    organization_id: UUID
    project_id: UUID | None = None
    run_ids: frozenset[str] | None = None

    @property
    def payload(self) -> str:
        """As it travels."""
        runs = _ANY if self.run_ids is None else ",".join(sorted(self.run_ids))
        return f"{self.organization_id}/{self.project_id or ''}/{runs}"


def growth_of(*, organization_id: UUID, project_id: UUID, run_ids: Iterable[str | None]) -> Growth:
    """What a batch of events lets grow."""
    named = frozenset(run_id for run_id in run_ids if run_id)
    is_sayable = len(named) <= RUNS_NAMED_MAX and all(ids.is_id(ids.IdPrefix.RUN, run_id) for run_id in named)
    return Growth(organization_id=organization_id, project_id=project_id, run_ids=named if is_sayable else None)


def growth_tell(growth: Growth) -> None:
    """With the open transaction's commit, tell everybody."""
    hints.hint_tell(CHANNEL, growth.payload)


def growth_read(payload: str) -> Growth | None:
    """What a notification on CHANNEL says, as wide as it may be meant: an older release named the organization alone, a
    newer one may have other names for runs. None: the feed grew, and it does not say whose."""
    organization, project, runs = hints.hint_parts(payload, 3)
    organization_id = hints.id_find(organization)
    if organization_id is None:
        return None
    return Growth(
        organization_id=organization_id,
        project_id=hints.id_find(project),
        run_ids=_named(runs) if payload.count("/") > 1 else None,
    )


def _named(runs: str) -> frozenset[str] | None:
    named = frozenset(filter(None, runs.split(",")))
    return named if all(ids.is_id(ids.IdPrefix.RUN, run_id) for run_id in named) else None
