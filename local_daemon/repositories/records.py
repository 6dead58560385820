"""A repository as it is recorded.

Tests: tests/unit/daemon/repositories/.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from local_daemon.protocol import ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A git repository of this machine. `toplevel` never leaves it."""

    position: int
    repository_id: ids.RepositoryId
    label: str
    toplevel: Path
    default_branch: str | None
    created_at: datetime
