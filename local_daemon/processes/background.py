"""Starting a process that outlives the one that starts it: the daemon, by the CLI.

Deliberately not for executors (`latch.py`). Tests: tests/integration/daemon/test_cli.py.
"""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


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
