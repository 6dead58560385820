"""Where a home's daemon answers, and which process it is, by what the daemon wrote in the home when it began.

Deliberately says nothing of whether that daemon still runs: one that was killed leaves its address behind. Called by
`http`, `stopping` and `ropeway doctor`. Tests: tests/unit/daemon/client/test_address.py.
"""

import json
from dataclasses import dataclass

from local_daemon.client.errors import DaemonUnreachable
from local_daemon.config import home as homes


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A daemon's process, by pid and start time, its Unix socket, and its TCP port where it listens on one."""

    pid: int
    process_start: str
    socket: str
    port: int | None


def address_read(home: homes.Home) -> Address | None:
    """The address in this home; None where there is none that can be understood. Raises DaemonUnreachable where it is
    not yours to read."""
    try:
        document = json.loads(home.address.read_text(encoding="utf-8"))
        return Address(
            pid=int(document["pid"]),
            process_start=str(document["process_start"]),
            socket=str(document["socket"]),
            port=document["port"],
        )
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
    except PermissionError as error:
        raise not_yours(home) from error


def not_yours(home: homes.Home) -> DaemonUnreachable:
    """What to say where something of the home can't be read."""
    return DaemonUnreachable(f"The home {home.root} is not yours to read.")
