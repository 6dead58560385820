"""A process that outlives the one that starts it: the daemon, as the CLI starts it and asks it to stop.

Who asks is not its parent, so it goes by pid and start time, and by a descriptor that never passes to a stranger.
Deliberately not for executors (`latch.py`). Tests: tests/integration/daemon/test_cli.py, test_stopping.py.
"""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local_daemon.processes import exits, process_table


def background_start(argv: Sequence[str], *, log: Path, env: Mapping[str, str], passed_descriptor: int) -> None:
    """Start `argv` in a session of its own, its output appended to `log`; it inherits one descriptor."""
    with log.open("ab") as output:
        subprocess.Popen(
            list(argv),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(passed_descriptor,),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """A process that runs, held on to: its pid can't pass to another while it is."""

    pid: int
    descriptor: int

    def ask_to_stop(self) -> None:
        """Send SIGTERM; nothing where it has just ended. Raises PermissionError where it is somebody else's."""
        try:
            if sys.platform == "linux":
                signal.pidfd_send_signal(self.descriptor, signal.SIGTERM)
            else:
                os.kill(self.pid, signal.SIGTERM)
        except ProcessLookupError:
            return

    def has_ended(self, *, within_s: float | None) -> bool:
        """Whether it ends in that time; None: however long it takes."""
        readable, _, _ = select.select([self.descriptor], [], [], within_s)
        return bool(readable)


@contextmanager
def background_hold(*, pid: int, started_at: str) -> Iterator[Background | None]:
    """Exactly the process that had this pid and start time (`process_table.started_at`); None where it has ended."""
    try:
        with exits.exit_descriptor(pid) as descriptor:
            is_it = process_table.started_at(pid) == started_at
            yield Background(pid=pid, descriptor=descriptor) if is_it else None
    except ProcessLookupError:
        yield None
