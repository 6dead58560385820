"""Telling who follows that the feed grew: of which organization, in which project, of which runs.

A NOTIFY in the commit that lets it grow: ids only. A hint: who follows reads the feed itself, in their own scope. Told
by `services.events_apply`; the console's open pages listen. Tests: tests/unit/cloud/console/test_waking.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from cloud.tenancy.transaction import execute_later
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
    execute_later("SELECT pg_notify(%s, %s)", [CHANNEL, growth.payload])


def growth_read(payload: str) -> Growth:
    """What a notification on CHANNEL says; the release before this one named the organization alone."""
    organization, _, rest = payload.partition("/")
    project, has_runs, runs = rest.partition("/")
    return Growth(
        organization_id=UUID(organization),
        project_id=UUID(project) if project else None,
        run_ids=None if not has_runs or runs == _ANY else frozenset(filter(None, runs.split(","))),
    )
