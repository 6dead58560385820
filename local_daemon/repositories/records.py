"""A repository as it is recorded.

Tests: tests/unit/daemon/repositories/.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from local_daemon.protocol import ids

NOWHERE = Path("/dev/null")
"""Below it lies what was forgotten: nothing can be there, and another repository may be where it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A git repository of this machine, or a folder without git. `toplevel` and `git_root` never leave it."""

    position: int
    repository_id: ids.RepositoryId
    label: str
    toplevel: Path
    git_root: Path  # where git works: the same, but for a folder without git, whose repository is ours
    binding: str | None  # to its git directory, see `worktrees/bindings`; None where nobody has looked yet
    default_branch: str | None
    created_at: datetime

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder without git."""
        return self.git_root != self.toplevel

    @property
    def is_forgotten(self) -> bool:
        """Whether it is only on record any more."""
        return self.toplevel.parent == NOWHERE
