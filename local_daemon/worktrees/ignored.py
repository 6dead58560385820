"""Files that the repository ignores and an attempt left behind: listed with the changes, and kept on the machine.

Never part of a patch or of what leaves the machine: a build's output, a cache, sometimes a secret. Called by
`changes.py` (the list) and the scheduler (the archive). Tests: tests/unit/daemon/worktrees/test_ignored.py.
"""

import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local_daemon.worktrees import git, paths, provisioning, worktree


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoredFile:
    """An ignored file, or a directory of nothing else (its path ends in `/`, its size is everything below it)."""

    path: str
    size_bytes: int


async def ignored_list(of: worktree.Worktree) -> tuple[IgnoredFile, ...]:
    """What is in the worktree and ignored. A new worktree holds none of it, so this is what the attempt left; what was
    provisioned doesn't count."""
    answer = await git.git(of.place, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
    return tuple(
        IgnoredFile(path=paths.path_text(raw), size_bytes=_size_bytes(of.path / os.fsdecode(raw)))
        for raw in provisioning.without(provisioning.names_read(of.path), filter(None, answer.stdout.split(b"\0")))
    )


def ignored_archive(
    of: worktree.Worktree, files: Sequence[IgnoredFile], *, destination: Path, bytes_max: int
) -> tuple[IgnoredFile, ...]:
    """Write the smallest of `files` that fit in `bytes_max` together to a tar file; answers what was left out.
    Blocking: call it in a thread."""
    left_out = []
    with tarfile.open(destination, "w") as archive:
        for file in sorted(files, key=lambda file: file.size_bytes):
            if file.size_bytes > bytes_max:
                left_out.append(file)
                continue
            name = os.fsdecode(paths.path_raw(file.path))
            try:
                archive.add(of.path / name, arcname=name)
            except OSError:
                left_out.append(file)  # It may not be read, or not be described in an archive.
            else:
                bytes_max -= file.size_bytes
    return tuple(left_out)


def _size_bytes(path: Path) -> int:
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size if os.path.lexists(path) else 0
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(path) for name in names)
