"""Which commit is checked out, read from the files in which git keeps it, where they say it plainly.

Every step begins there, and asking git costs a process. Plainly is: `HEAD` names a commit, or a branch that has a file
of its own. Whatever else there is (packed references, tables of them, a name that leads on) is git's to say. No
configuration is read, and nothing is remembered. Called by `inspection.py`.
Tests: tests/unit/daemon/worktrees/test_heads.py.
"""

import re
from pathlib import Path

from local_daemon.config import plain_files

_HEAD = "HEAD"
_COMMIT = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\n")
_BRANCH = re.compile(r"ref: (refs/heads(?:/[A-Za-z0-9_@+=-][A-Za-z0-9_.@+=-]*)+)\n")
_BYTES_MAX = 1024
_ELSEWHERE = ("commondir", "reftable")
"""Where there is one of these in the shared directory, references are kept elsewhere."""


def head_read(git_dir: Path, *, common_dir: Path) -> str | None:
    """The commit of the checkout whose state is in `git_dir`; None where only git can tell, or there is none."""
    if any((common_dir / name).exists() for name in _ELSEWHERE):
        return None
    said = _text_read(git_dir / _HEAD)
    if branch := _BRANCH.fullmatch(said):
        said = _text_read(common_dir / branch[1])
    commit = _COMMIT.fullmatch(said)
    return None if commit is None else commit[1]


def _text_read(path: Path) -> str:
    """What stands there; nothing where it can't be read."""
    try:
        return plain_files.plain_read(path, bytes_max=_BYTES_MAX).decode("ascii", errors="replace")
    except OSError:
        return ""
