"""Git processes that stay: they write an attempt's commit and its reference in a tenth of the time a process takes.

Of git's commands these two take orders one by one and look at nothing in a worktree: `hash-object` makes an object of
a file, `update-ref` changes references in transactions. One of each for the repositories that are used, gone after a
while without an order, or sooner where another repository needs the place. They are a short cut: `changes.py` runs the
command as usual where one does not answer, or where there is none.
Owned by the scheduler. Tests: tests/unit/daemon/worktrees/test_recorders.py.
"""

import asyncio
import logging
import os
from collections import Counter, OrderedDict
from pathlib import Path

from local_daemon.processes import standing
from local_daemon.worktrees import git

logger = logging.getLogger(__name__)

KEPT_MAX = 8
IDLE_S = 30.0
_TIMEOUT_S = 20.0
_COMMITS = ("hash-object", "-t", "commit", "-w", "--no-filters", "--stdin-paths")
_REFS = ("update-ref", "--stdin")
_DONE = [b"start: ok", b"prepare: ok", b"commit: ok"]

_Key = tuple[git.GitPlace, tuple[str, ...]]


class Recorders:
    """Those of one life of the daemon."""

    def __init__(self, *, idle_s: float = IDLE_S) -> None:
        """Starts nothing before the first order."""
        self._idle_s = idle_s
        self._kept: OrderedDict[_Key, standing.Standing] = OrderedDict()
        self._orders: Counter[_Key] = Counter()
        self._idle: dict[_Key, asyncio.TimerHandle] = {}

    async def commit_write(self, file: Path, *, trusted_dir: Path, common_dir: Path) -> str | None:
        """The id of the commit that `file` holds, now an object of the repository; None where that is not certain."""
        path = os.fsencode(file)
        if b"\n" in path:
            return None
        place = git.GitPlace(directory=trusted_dir, git_dir=trusted_dir, objects=common_dir / "objects")
        said = await self._ask(place, _COMMITS, path + b"\n", lines=1)
        return None if said is None else said[0].decode("ascii", errors="replace")

    async def ref_create(self, refs: git.GitPlace, ref: str, commit: str) -> bool:
        """Whether the reference certainly was not there, and now names the commit. `refs` is what
        `references.refs_place` answers: git remembers for life where it found the references first."""
        order = f"start\ncreate {ref} {commit}\nprepare\ncommit\n".encode()
        return await self._ask(refs, _REFS, order, lines=len(_DONE)) == _DONE

    async def close(self) -> None:
        """End all of them, whatever they are at, and wait for it no longer than killing them takes."""
        ended = [self._end(key) for key in list(self._kept)]
        await asyncio.gather(*(tool.gone() for tool in ended))

    async def _ask(
        self, place: git.GitPlace, arguments: tuple[str, ...], order: bytes, *, lines: int
    ) -> list[bytes] | None:
        key = place, arguments
        self._idle_end(key)
        self._orders[key] += 1
        try:
            tool = self._tool(key)
            return None if tool is None else await tool.ask(order, lines=lines, timeout_s=_TIMEOUT_S)
        except (standing.NoAnswer, git.GitFailed):
            logger.info("git is asked anew", extra={"event": "git.asked_anew", "subcommand": arguments[0]})
            return None
        finally:
            self._rest(key)

    def _tool(self, key: _Key) -> standing.Standing | None:
        """The one to ask; None where there is none, and all that there may be have something to do."""
        tool = self._kept.pop(key, None)
        if tool is None or tool.is_closed:
            while len(self._kept) >= KEPT_MAX:
                idle = next((each for each in self._kept if not self._orders[each]), None)
                if idle is None:
                    return None
                self._end(idle)
            tool = git.git_standing(key[0], *key[1])
        self._kept[key] = tool
        return tool

    def _rest(self, key: _Key) -> None:
        """It has an order less, and from the last one on nothing to do."""
        self._orders[key] -= 1
        if not self._orders[key]:
            del self._orders[key]
            if key in self._kept:
                self._idle[key] = asyncio.get_running_loop().call_later(self._idle_s, self._end, key)

    def _end(self, key: _Key) -> standing.Standing:
        self._idle_end(key)
        tool = self._kept.pop(key)
        tool.close()
        return tool

    def _idle_end(self, key: _Key) -> None:
        if key in self._idle:
            self._idle.pop(key).cancel()
