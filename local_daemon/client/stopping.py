"""The process behind a home's daemon: whether it runs, and asking it to stop.

It names itself in the home by pid and start time, so no other process is ever taken for it. Asked once it drains, asked
again it stops at once, exactly as with SIGTERM. Called by `ropeway daemon`.
Tests: tests/integration/daemon/test_stopping.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from local_daemon.client import address, http
from local_daemon.client.errors import DaemonUnreachable
from local_daemon.config import home as homes
from local_daemon.processes import background
from local_daemon.protocol import errors, messages

_ANSWERS_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """A daemon's process, and what it says of itself; None where it does not answer, or not so that this version
    understands it."""

    process: background.Background
    port: int | None
    instance: messages.InstanceView | None
    is_other_version: bool


@contextmanager
def daemon_find(home: homes.Home) -> Iterator[Daemon | None]:
    """The daemon that runs in this home; None where none does. Raises DaemonUnreachable where somebody holds the home
    who does not say yet, or not any more, who it is."""
    named = address.address_read(home)
    if named is None:
        _free_require(home)
        yield None
        return
    with background.background_hold(pid=named.pid, started_at=named.process_start) as process:
        if process is None:
            _free_require(home)
            yield None
        else:
            yield _described(home, process, port=named.port)


def _free_require(home: homes.Home) -> None:
    if not home.lock.exists():
        return
    try:
        with homes.run_lock(home):
            return
    except homes.HomeInUse as error:
        raise DaemonUnreachable("A daemon of this home is just starting, or about to end; ask again.") from error


def _described(home: homes.Home, process: background.Background, *, port: int | None) -> Daemon:
    instance, is_other_version = None, False
    try:
        with http.connect(home, timeout_s=_ANSWERS_WITHIN_S) as client:
            instance = client.call("instance.get", messages.InstanceView)
    except errors.ProtocolMismatch:
        is_other_version = True
    except (DaemonUnreachable, errors.RopewayError):
        pass
    return Daemon(process=process, port=port, instance=instance, is_other_version=is_other_version)
