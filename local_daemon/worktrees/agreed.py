"""What a repository's people agreed on, as its operator has it: the file in the checkout, or at HEAD of a bare one.

The daemon reads `.ropeway/repository.toml` here and nowhere else (ADR 0018): never from a worktree, a base or a branch,
where an executor could have written what the next step may do, or what the daemon runs for it. Deliberately looks into
no table. Called by `provisioning.py` and by handlers that submit steps.
Tests: tests/unit/daemon/worktrees/test_agreed.py.
"""

from pathlib import Path

from local_daemon.config import repository_file
from local_daemon.worktrees import git


async def file_read(root: Path) -> bytes | None:
    """The file of the repository, or of the folder without git, that begins at `root`; None where there is none. Starts
    git only for a bare repository. Raises RepositoryFileInvalid."""
    if _is_bare(root):
        return await _committed_read(root)
    try:
        with (root / repository_file.PLACE).open("rb") as file:
            return file.read(repository_file.BYTES_MAX + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise repository_file.RepositoryFileInvalid(f"{repository_file.PLACE}: {error.strerror}") from error


def _is_bare(root: Path) -> bool:
    return (root / "HEAD").is_file() and (root / "objects").is_dir()


async def _committed_read(root: Path) -> bytes | None:
    place = git.GitPlace(directory=root)
    name = f"HEAD:{repository_file.PLACE.as_posix()}"
    try:
        found = await git.git(
            place, "cat-file", "blob", name, accepted=(0, 128), max_output_bytes=repository_file.BYTES_MAX + 1
        )
    except git.GitFailed as error:
        raise repository_file.RepositoryFileInvalid(str(error)) from error
    return found.stdout if found.exit_code == 0 else None
