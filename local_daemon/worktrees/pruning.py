"""What git keeps for attempts and nobody needs any more: references under `refs/ropeway/`, then objects that nothing
reaches.

References are taken away only where they still say what the record says. Objects go as git's own gc lets them go: those
that nothing has reached for two weeks, or as the repository's `gc.pruneExpire` says; and only while nothing is at work
in the repository, since that git reads its configuration. A new worktree does not wait for it. Called by `retention`.
Tests: tests/integration/daemon/test_references.py.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path

from local_daemon.worktrees import bindings, configuration, git, references

ROOT = "refs/ropeway"
LEFTOVER_SUFFIX = "-leftover"
"""Of the reference beside an attempt's own, to what came after its changes."""
LEFT_OVER = "Left over"
"""What the commit says that holds what came after an attempt's changes: nothing else on record tells which it is."""
_EXPIRE = "2.weeks.ago"
_NEVER = frozenset({"never", "false"})
_TIMEOUT_S = 600.0

_running: dict[Path, asyncio.Task[None]] = {}


async def refs_remove(git_root: Path, wanted: Mapping[str, str | None], *, trusted_root: Path) -> None:
    """Take these references away, each only if it names the commit beside it, or what `worktree_remove` left over where
    none is on record: another one is somebody else's. Raises GitFailed."""
    place = references.repository_place(git_root, trusted_root=trusted_root)
    listed = await git.git(place, "for-each-ref", "--format=%(objectname) %(refname)", ROOT)
    now = {name: commit for commit, _, name in (line.partition(" ") for line in listed.line.splitlines())}
    left_over = await _left_over(place) if None in wanted.values() else frozenset()
    going = {
        name: now[name]
        for name, commit in wanted.items()
        if name in now and (name in left_over if commit is None else commit == now[name])
    }
    if not going:
        return
    removed = await _delete(place, going)
    common_dir = bindings.common_dir_find(git_root)
    # All of them go or none: one lock that a killed git left would keep them for ever. Git has waited for each.
    if removed.exit_code != 0 and [name for name in going if references.lock_let_go(common_dir, name)]:
        removed = await _delete(place, going)
    if removed.exit_code != 0:
        raise git.GitFailed(subcommand="update-ref", exit_code=removed.exit_code, detail=removed.detail)


async def _delete(place: git.GitPlace, going: Mapping[str, str]) -> git.GitAnswer:
    lines = "".join(f"delete {name} {commit}\n" for name, commit in going.items())
    return await git.git(place, "update-ref", "--stdin", stdin=lines.encode(), accepted=(0, 1, 128))


async def _left_over(place: git.GitPlace) -> frozenset[str]:
    every = f"{ROOT}/*/*/*{LEFTOVER_SUFFIX}"
    listed = await git.git(place, "for-each-ref", "--format=%(refname) %(committeremail) %(contents:subject)", every)
    lines = (line.partition(" ") for line in listed.line.splitlines())
    return frozenset(name for name, _, said in lines if said == f"<{git.EMAIL}> {LEFT_OVER}")


async def objects_prune(git_root: Path, *, trusted_root: Path) -> bool:
    """Let go what nothing reaches any more; answers whether that was done. Nothing is done while an attempt is at work,
    or where one begins meanwhile. Raises GitFailed."""
    place = references.repository_place(git_root, trusted_root=trusted_root)

    async def prune() -> None:
        found = await git.git(place, "config", "--get", "gc.pruneExpire", accepted=(0, 1))
        expire = found.line or _EXPIRE
        if expire not in _NEVER:
            await git.git(place, "prune", f"--expire={expire}", timeout_s=_TIMEOUT_S)

    return await alone(bindings.common_dir_find(git_root), prune)


async def alone(common_dir: Path, work: Callable[[], Coroutine[None, None, None]]) -> bool:
    """Do long work that reads the repository's configuration, while nothing that could write it is at work; answers
    whether it came to its end."""
    if configuration.configuration_in_use(common_dir) is not None or common_dir in _running:
        return False
    running = asyncio.ensure_future(work())
    _running[common_dir] = running
    try:
        await asyncio.wait({running})
    finally:
        running.cancel()
        del _running[common_dir]
    if running.cancelled():
        return False
    running.result()
    return True


async def give_way(common_dir: Path) -> None:
    """End such work in this repository: an attempt begins. It is done again later."""
    running = _running.get(common_dir)
    if running is not None:
        running.cancel()
        await asyncio.wait({running})
