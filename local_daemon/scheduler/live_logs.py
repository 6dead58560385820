"""The log of an attempt that is no artifact yet, as `operations` reads it: at work, or given up on the way.

Deliberately never answers for what is evidence: who reads looks there first. Made by `bootstrap`.
Tests: tests/integration/daemon/test_live_output.py.
"""

import asyncio
import os
from contextlib import AbstractContextManager
from pathlib import Path

from local_daemon.attempts.lifecycle import UNFINISHED
from local_daemon.attempts.records import Attempt
from local_daemon.processes import capture, growth
from local_daemon.protocol import ids
from local_daemon.scheduler import outputs, workshop

_LITTLE_BYTES = 64 * 1024
"""What is read on the loop's own thread, of a file that was written a moment ago."""


_LEFT_MAX = 8
"""So many outputs of attempts that were given up stay clean for who reads on."""


class LiveLogs:
    """What the attempts of one workshop say."""

    def __init__(self, shop: workshop.Workshop) -> None:
        self._shop = shop
        self._left: dict[Path, capture.Capture] = {}

    async def read(self, attempt: Attempt, name: str, *, offset: int, length: int) -> capture.Piece | None:
        """A piece of what is there by now; None where there is nothing. Raises StorageFull, RangeInvalid."""
        shop, attempt_id = self._shop, attempt.attempt_id
        if shop.outputs.is_little(attempt_id, name):
            return shop.outputs.read(attempt_id, name, offset=offset, length=min(length, _LITTLE_BYTES))
        if shop.outputs.is_open(attempt_id):
            return await asyncio.to_thread(shop.outputs.read, attempt_id, name, offset=offset, length=length)
        path = shop.scratch_path(attempt_id) / name
        if attempt.state in UNFINISHED or not os.path.exists(path):
            return None
        return await asyncio.to_thread(outputs.left_read, self._left_of(attempt, path), offset=offset, length=length)

    def _left_of(self, attempt: Attempt, path: Path) -> capture.Capture:
        shop = self._shop
        if path not in self._left:
            known = workshop.log_known(shop, shop.database.read(lambda conn: workshop.lease_load(conn, attempt)))
            self._left[path] = capture.Capture(path, None, known=lambda: known)
            if len(self._left) > _LEFT_MAX:
                del self._left[next(iter(self._left))]
        return self._left[path]

    def followed(self, attempt_id: ids.AttemptId, name: str) -> AbstractContextManager[growth.Growing | None]:
        """Be told when the log grows; None where nothing tells, because there is nothing yet or no more."""
        return self._shop.outputs.followed(attempt_id, name)
