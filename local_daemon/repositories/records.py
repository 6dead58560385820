"""A repository as it is recorded.

Tests: tests/unit/daemon/repositories/.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from local_daemon.protocol import ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A git repository of this machine, or a folder without git. `toplevel` and `git_root` never leave it."""

    position: int
    repository_id: ids.RepositoryId
    label: str
    toplevel: Path
    git_root: Path  # where git works: the same, but for a folder without git, whose repository is ours
    default_branch: str | None
    created_at: datetime

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder without git."""
        return self.git_root != self.toplevel
