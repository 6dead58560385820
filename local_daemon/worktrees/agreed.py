"""What a repository's people agreed on, as its operator has it: the file in the checkout, or at HEAD of a bare one.

The daemon reads `.ropeway/repository.toml` here and nowhere else (ADR 0018): never from a worktree, a base or a branch,
where an executor could have written what the next step may do, or what the daemon runs for it. Deliberately looks into
no table. Called by `provisioning.py` and by handlers that submit steps.
Tests: tests/unit/daemon/worktrees/test_agreed.py.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from local_daemon.config import plain_files, repository_file
from local_daemon.worktrees import git, references

_HEAD = "HEAD"


async def file_read(root: Path, *, trusted_root: Path | None = None) -> bytes | None:
    """The file of the repository, or of the folder without git, that begins at `root`; None where there is none. Starts
    git only for a bare repository, where `trusted_root` says where git directories of ours lie. Raises
    RepositoryFileInvalid."""
    if _is_bare(root):
        if trusted_root is None:
            raise repository_file.RepositoryFileInvalid(f"{repository_file.PLACE}: a bare repository's needs a home")
        return await _committed_read(root, trusted_root)
    try:
        return plain_files.plain_read(root / repository_file.PLACE, bytes_max=repository_file.BYTES_MAX + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise repository_file.RepositoryFileInvalid(f"{repository_file.PLACE}: {error.strerror}") from error


def _is_bare(root: Path) -> bool:
    return not os.path.lexists(root / ".git") and os.path.lexists(root / _HEAD) and (root / "objects").is_dir()


async def _committed_read(root: Path, trusted_root: Path) -> bytes | None:
    try:
        place = references.repository_place(root, trusted_root=trusted_root)
        blob = await _blob_find(place, references.name_there(root, _HEAD))
        if blob is None:
            return None
        found = await _ask(place, "cat-file", "blob", blob)
    except git.GitFailed as error:
        raise repository_file.RepositoryFileInvalid(f"{repository_file.PLACE}: {error}") from error
    return found.stdout


async def _blob_find(place: git.GitPlace, head: str) -> str | None:
    """The name of the file's content at HEAD; None where it isn't there. That git can't tell is never taken for that:
    silently no policy would be worse. Raises GitFailed."""
    try:
        listed = await _ask(place, "ls-tree", "-z", head, "--", repository_file.PLACE.as_posix())
    except git.GitFailed:
        if await _is_unborn(place, head):
            return None
        raise
    return listed.stdout.split(b"\t")[0].split(b" ")[-1].decode("ascii") if listed.stdout else None


async def _is_unborn(place: git.GitPlace, head: str) -> bool:
    """Whether HEAD names a branch without a commit. Raises GitFailed, also where the branch is there and broken."""
    if (await _ask(place, "rev-parse", "--verify", "--quiet", head, accepted=(0, 1))).exit_code == 0:
        return False
    return bool((await _ask(place, "symbolic-ref", "--quiet", head)).line)


async def _ask(place: git.GitPlace, *arguments: str, accepted: Sequence[int] = (0,)) -> git.GitAnswer:
    return await git.git(place, *arguments, accepted=accepted, max_output_bytes=repository_file.BYTES_MAX + 1)
