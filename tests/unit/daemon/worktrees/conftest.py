"""A real repository, and what the tests of this room do to it."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from local_daemon.worktrees import worktree

Git = Callable[..., bytes]


@pytest.fixture(autouse=True)
def _no_configuration_of_this_machine(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture(scope="session")
def git_in() -> Callable[[Path], Git]:
    """Git as a person or an executor runs it in a directory, with no hardening of ours."""

    def bind(directory: Path) -> Git:
        def git(*arguments: str, stdin: bytes = b"", **variables: str) -> bytes:
            identity = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
            for role in ("AUTHOR", "COMMITTER"):
                identity |= {f"GIT_{role}_NAME": "Ada", f"GIT_{role}_EMAIL": "ada@example.org"}
            completed = subprocess.run(
                ["git", *arguments],
                cwd=directory,
                env={"PATH": os.environ["PATH"], **identity, **variables},
                input=stdin,
                capture_output=True,
                check=False,
            )
            assert completed.returncode == 0, completed.stderr.decode(errors="replace")
            return completed.stdout

        return git

    return bind


@pytest.fixture
def repository(tmp_path: Path, git_in: Callable[[Path], Git]) -> Path:
    """A repository with a few files and one commit."""
    root = tmp_path / "repository"
    root.mkdir()
    git = git_in(root)
    git("init", "--quiet", "--initial-branch=main")
    (root / "README").write_text("one\ntwo\nthree\n")
    (root / ".gitignore").write_text("*.log\nbuild/\n")
    (root / "src").mkdir()
    (root / "src/a.py").write_text("".join(f"line {number}\n" for number in range(40)))
    (root / "src/b.bin").write_bytes(bytes(range(256)))
    git("add", "--all")
    git("commit", "--quiet", "--message", "first")
    return root


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A worktree as git lists it; `locked` is why nobody may prune it."""

    path: Path
    head_commit: str | None
    locked: str | None


@pytest.fixture
def worktrees_of(git_in: Callable[[Path], Git]) -> Callable[[Path], list[Listed]]:
    """Every worktree of a repository that git itself knows of, the main one first."""

    def worktrees_of(root: Path) -> list[Listed]:
        records = git_in(root)("worktree", "list", "--porcelain", "-z").decode().split("\0\0")
        facts = [dict((line.split(" ", 1) + [""])[:2] for line in each.split("\0")) for each in records if each]
        return [
            Listed(path=Path(each["worktree"]), head_commit=each.get("HEAD"), locked=each.get("locked"))
            for each in facts
        ]

    return worktrees_of


@pytest.fixture
def with_tables(repository: Path, git_in: Callable[[Path], Git]) -> Path:
    """The same repository, with its references in tables, where this git knows those."""
    run = git_in(repository)
    shutil.rmtree(repository / ".git/logs")  # The first git that migrates doesn't take them along.
    try:
        run("refs", "migrate", "--ref-format=reftable")
    except AssertionError:
        pytest.skip("this git knows no tables of references")
    return repository


@pytest.fixture
async def made(repository: Path, tmp_path: Path) -> worktree.Worktree:
    """A worktree of that repository, as an attempt gets it."""
    return await worktree.worktree_create(repository, path=tmp_path / "worktrees/att_1", base="HEAD")
