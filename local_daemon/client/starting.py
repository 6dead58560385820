"""Starts a daemon in the background where none answers, so that `ropeway submit` works at once.

The daemon says that it is ready through a pipe it inherits, so nobody waits by polling. Whoever starts one holds the
home's `start_lock`. Called by the CLI. Tests: tests/integration/daemon/test_cli.py.
"""

import os
import select
import sys

from local_daemon.client.errors import DaemonUnreachable
from local_daemon.config import home as homes
from local_daemon.processes import background

READY_VARIABLE = "ROPEWAY_READY_FD"
_READY_S = 60.0
"""A daemon that can't start closes the pipe by ending; so long a machine may take that has its hands full."""


def daemon_start(home: homes.Home) -> None:
    """Start a daemon for this home and return once it answers. Raises DaemonUnreachable, naming its log."""
    home.prepare()
    reading, writing = os.pipe()
    try:
        background.background_start(
            # -P: the operator stands in somebody's repository, whose files must not become the daemon's modules.
            [sys.executable, "-P", "-m", "local_daemon.cli", "--home", str(home.root), "daemon"],
            log=home.log,
            env={**os.environ, READY_VARIABLE: str(writing)},
            passed_descriptor=writing,
        )
    finally:
        os.close(writing)
    try:
        readable, _, _ = select.select([reading], [], [], _READY_S)
        is_ready = bool(readable) and os.read(reading, 1) == b"1"
    finally:
        os.close(reading)
    if not is_ready:
        raise DaemonUnreachable(f"The daemon did not start; {home.log} says why.")


def ready_tell() -> None:
    """Tell whoever started this daemon that it answers now; nothing where nobody waits."""
    descriptor = os.environ.pop(READY_VARIABLE, "")
    if descriptor.isdigit():
        os.write(int(descriptor), b"1")
        os.close(int(descriptor))
