"""The only caller of git: every command line hardened in one place, every failure a typed error.

A repository is input, not trusted: its hooks, its fsmonitor and its signing never run, and nothing prompts.
Deliberately knows no worktree or change (`worktree.py`, `changes.py`) and changes no configuration.
Tests: tests/unit/daemon/worktrees/test_git.py.
"""

import asyncio
import functools
import os
import re
import shutil
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from local_daemon.processes import children, command, environment, standing
from local_daemon.worktrees import special_files

TIMEOUT_S = 120.0
LOOK_AFTER_S = 5.0
"""A command that isn't over by then may be waiting for a pipe; in a large repository many take some seconds."""
OUTPUT_BYTES_MAX = 64 * 1024 * 1024
_STDERR_CHARACTERS_MAX = 2000
_PASSED_OVER = re.compile(
    rb"^(?:warning: could not open directory '|(?!warning: ).*: Permission denied$)", re.MULTILINE
)
"""What git says of a folder that it leaves out as if nothing were in it, and of a file that it takes for unchanged."""

_HARDENED = (
    "--no-pager",
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "core.untrackedCache=false",
    "-c", "core.splitIndex=false",
    "-c", "core.safecrlf=false",
    "-c", "core.quotePath=true",
    "-c", "core.alternateRefsCommand=",
    "-c", "commit.gpgSign=false",
    "-c", "add.ignoreErrors=false",
    "-c", "diff.suppressBlankEmpty=false",
    "-c", "gc.auto=0",
    "-c", "maintenance.auto=false",
    "-c", "submodule.recurse=false",
    "-c", "protocol.ext.allow=never",
)  # fmt: skip

# Where a person's own git configuration is found: it names their ignores, line endings and safe directories.
PASSED_NAMES = ("XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
_NAMES = environment.PASSED_NAMES.union(PASSED_NAMES)
NAME = "Ropeway"
EMAIL = "ropeway@localhost"
FIXED_ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GIT_OPTIONAL_LOCKS": "0",
    # A commit is what its digest says, whatever stands in `refs/replace` or `info/grafts`.
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": "/dev/null/none",
    "GIT_AUTHOR_NAME": NAME,
    "GIT_AUTHOR_EMAIL": EMAIL,
    "GIT_COMMITTER_NAME": NAME,
    "GIT_COMMITTER_EMAIL": EMAIL,
}

_ABSOLUTE_PATH = re.compile(r"(?<![\w.~-])/(?:[^\s/'\":]+/)*([^\s/'\":]+)")


class GitFailed(Exception):
    """Git refused or failed; the detail is git's own message."""

    def __init__(self, *, subcommand: str, exit_code: int, detail: str) -> None:
        super().__init__(f"git {subcommand}: {detail or f'exit code {exit_code}'}")
        self.subcommand = subcommand
        self.exit_code = exit_code
        self.detail = detail


class GitTimedOut(GitFailed):
    """Git did not finish in time; the repository may be very large or its disk very slow."""


class GitWaited(GitFailed):
    """Something that is no file stands where git reads one, and git would wait for it; take it away."""


class GitOutputTooLarge(GitFailed):
    """Git answered more than may be kept in memory; the changes are too large to be recorded as one patch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitPlace:
    """Where a command works. With `git_dir`, discovery is bypassed: what stands in the worktree's own `.git`, which
    an executor can rewrite, then has no say. `common_dir` says where configuration and objects are, whatever a
    `commondir` in `git_dir` says; references git seeks by that file all the same, so they are written with a `git_dir`
    of ours only (`references.py`). `objects` goes with a `git_dir` of ours, whose configuration is trusted:
    only there may git fetch what a partial clone lacks."""

    directory: Path
    git_dir: Path | None = None
    common_dir: Path | None = None
    objects: Path | None = None
    index: Path | None = None

    def environment(self) -> dict[str, str]:
        """The variables by which git finds this place."""
        variables: dict[str, str] = {}
        if self.git_dir is not None:
            variables |= {"GIT_DIR": str(self.git_dir), "GIT_WORK_TREE": str(self.directory)}
        if self.common_dir is not None:
            variables["GIT_COMMON_DIR"] = str(self.common_dir)
        if self.objects is not None:
            variables["GIT_OBJECT_DIRECTORY"] = str(self.objects)
        else:
            # A repository may name the program that serves a fetch.
            variables["GIT_ALLOW_PROTOCOL"] = "none"
        if self.index is not None:
            variables["GIT_INDEX_FILE"] = str(self.index)
        return variables


@dataclass(frozen=True, slots=True, kw_only=True)
class GitAnswer:
    """What git said."""

    exit_code: int
    stdout: bytes
    detail: str = field(default="")

    @property
    def line(self) -> str:
        """The one line that most plumbing commands answer."""
        return self.stdout.decode("utf-8", errors="surrogateescape").rstrip("\n")

    @property
    def path(self) -> Path:
        """The one path that a command answers, whatever characters it has."""
        return Path(os.fsdecode(self.stdout.removesuffix(b"\n")))


async def git(
    place: GitPlace,
    *arguments: str,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    accepted: Sequence[int] = (0,),
    timeout_s: float = TIMEOUT_S,
    max_output_bytes: int = OUTPUT_BYTES_MAX,
    seeks_pipes: bool = True,
    sees_all: bool = False,
) -> GitAnswer:
    """Run one git command and answer what it said. Where it takes long and `seeks_pipes`, it is ended over a pipe in
    its folder: not for what writes files of a person's, half of which would be left by a mistake. With `sees_all` it
    fails over what it may not look at. Raises GitFailed, also for an exit code not in `accepted`,
    GitTimedOut, GitWaited, GitOutputTooLarge."""
    variables = {**git_environment(), **place.environment(), **(env or {})}
    run = functools.partial(
        command.run_command,
        cwd=place.directory,
        env=variables,
        stdin_bytes=stdin,
        timeout_s=timeout_s,
        max_output_bytes=max_output_bytes,
    )
    program = _program(variables.get("PATH"))
    seek_in = place.directory if seeks_pipes and place.index is not None else None
    try:
        try:
            completed = await _unless_waiting(seek_in, run((program, *_HARDENED, *arguments)), subcommand=arguments[0])
        except children.LaunchFailed:
            # It may have been moved, as by an upgrade, since it was looked for.
            _program.cache_clear()
            if _program(variables.get("PATH")) == program:
                raise
            program = _program(variables.get("PATH"))
            completed = await _unless_waiting(seek_in, run((program, *_HARDENED, *arguments)), subcommand=arguments[0])
    except children.LaunchFailed as error:
        raise GitFailed(subcommand=arguments[0], exit_code=-1, detail=str(error)) from error
    subcommand, detail = arguments[0], stderr_clean(completed.stderr, place.directory)
    if completed.timed_out:
        raise GitTimedOut(subcommand=subcommand, exit_code=completed.exit_code, detail=f"took over {timeout_s:g} s")
    if completed.truncated:
        raise GitOutputTooLarge(
            subcommand=subcommand, exit_code=completed.exit_code, detail=f"answered over {max_output_bytes} bytes"
        )
    if completed.exit_code not in accepted or (sees_all and _PASSED_OVER.search(completed.stderr)):
        raise GitFailed(subcommand=subcommand, exit_code=completed.exit_code, detail=detail)
    return GitAnswer(exit_code=completed.exit_code, stdout=completed.stdout, detail=detail)


async def _unless_waiting(
    directory: Path | None, work: Coroutine[None, None, command.CompletedCommand], *, subcommand: str
) -> command.CompletedCommand:
    """Wait for a command. Where it looks at files of this directory and takes long, look for what it may be waiting
    for, until it is over or something is found, and end it then. Raises GitWaited."""
    if directory is None:
        return await work
    task = asyncio.ensure_future(work)
    look: asyncio.Future[list[Path]] | None = None
    try:
        over, _ = await asyncio.wait({task}, timeout=LOOK_AFTER_S)
        if not over:
            seek = functools.partial(special_files.special_files_find, directory, is_over=task.done)
            look = asyncio.ensure_future(asyncio.to_thread(seek))
            await asyncio.wait({task, look}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done() and (found := look.result()):
                named = special_files.named(found, directory=directory)
                raise GitWaited(subcommand=subcommand, exit_code=-1, detail=f"would wait for what is no file: {named}")
        return await task
    finally:
        if look is not None:
            look.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def git_standing(place: GitPlace, *arguments: str) -> standing.Standing:
    """Start a git that takes its orders one by one; its owner closes it. Only for what looks at no file of a worktree.
    Raises GitFailed."""
    variables = {**git_environment(), **place.environment()}
    try:
        return standing.Standing.start(
            (_program(variables.get("PATH")), *_HARDENED, *arguments), cwd=place.directory, env=variables
        )
    except children.LaunchFailed as error:
        _program.cache_clear()
        raise GitFailed(subcommand=arguments[0], exit_code=-1, detail=str(error)) from error


@functools.lru_cache(maxsize=8)
def _program(path: str | None) -> str:
    """Where git is, looked for once: a step starts it ten times, and each child would try every folder of its PATH."""
    # A relative folder of a PATH would be one of the worktree's, in which anything may lie.
    folders = [folder for folder in (path or os.defpath).split(os.pathsep) if os.path.isabs(folder)]
    return shutil.which("git", path=os.pathsep.join(folders)) or "git"


def git_environment() -> dict[str, str]:
    """The environment git runs in: the operator's configuration, our identity, and nobody to ask."""
    # Name by name: most of what there is, is not for git, and the language is fixed.
    source = {name: value for name in _NAMES if (value := os.environ.get(name)) is not None}
    return environment.environment_select(source, passed_names=PASSED_NAMES, values=FIXED_ENVIRONMENT)


def dates_environment(at: datetime) -> dict[str, str]:
    """The author's and committer's date of a commit, from an aware datetime."""
    stamp = f"@{int(at.timestamp())} +0000"
    return {"GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp}


def stderr_clean(stderr: bytes, directory: Path) -> str:
    """Git's message without the machine's directories: of an absolute path only the last name is left."""
    text = stderr.decode("utf-8", errors="replace").replace(f"{directory}/", "").replace(str(directory), ".")
    return _ABSOLUTE_PATH.sub(r"\1", text).strip()[:_STDERR_CHARACTERS_MAX]


def patch_apply_argv(patch_path: Path) -> tuple[str, ...]:
    """The command that applies a unified diff to the files of the directory it is run in, all of it or nothing.
    Git itself refuses a path that is absolute, climbs out by `..`, enters `.git` or goes through a symbolic link."""
    # The worktree is ours, made by this daemon; who owns its files says nothing about it.
    return ("git", *_HARDENED, "-c", "safe.directory=*", "apply", "--whitespace=nowarn", "--", str(patch_path))
