"""Where a home belongs: on which machine, in which directory. A copy of it is another daemon with the same name.

Two daemons of one identity would sign for each other and confuse whoever knows them by it, so a copy does not serve
until its operator says what it is: `ropeway identity renew` (a copy) or `ropeway identity keep` (it moved here).
Called by `bootstrap` and the CLI.
Tests: tests/unit/daemon/identity/test_places.py, tests/integration/daemon/test_copied_home.py.
"""

import ctypes
import hashlib
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from local_daemon.config import home as homes

_DOMAIN = "ropeway-machine:"
_MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_UUID_BYTES = 16


class HomeCopied(Exception):
    """This home came from another place, and its identity with it. Is it a copy? Give it an identity of its own with
    `ropeway identity renew`. Was it moved or restored, and the other is gone? Say so with `ropeway identity keep`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A digest of the machine's id (None where it has none, as in most containers), and the home directory's inode."""

    machine: str | None
    inode: int

    def is_elsewhere(self, recorded: "Place") -> bool:
        """Whether what was recorded is another place. A rename keeps the inode; a copy or a backup does not."""
        has_both = self.machine is not None and recorded.machine is not None
        return self.inode != recorded.inode or (has_both and self.machine != recorded.machine)


def place_here(home: homes.Home) -> Place:
    """Where this home is now."""
    machine = _machine_id()
    digest = None if machine is None else hashlib.sha256((_DOMAIN + machine).encode()).hexdigest()
    return Place(machine=digest, inode=home.root.stat().st_ino)


def place_check(home: homes.Home) -> None:
    """Raises HomeCopied where the home was recorded in another place. One that never was belongs where it is."""
    recorded = _recorded(home)
    if recorded is not None and place_here(home).is_elsewhere(recorded):
        raise HomeCopied


def place_record(home: homes.Home) -> None:
    """From now on the home belongs where it is."""
    here = place_here(home)
    if _recorded(home) != here:
        homes.private_write(home.place, json.dumps(asdict(here)))


def _recorded(home: homes.Home) -> Place | None:
    try:
        document = json.loads(home.place.read_text(encoding="utf-8"))
        return Place(machine=document["machine"], inode=int(document["inode"]))
    except (OSError, ValueError, KeyError, TypeError):
        # What can't be read says nothing about where the home came from; it is written anew.
        return None


def _machine_id() -> str | None:
    if sys.platform == "darwin":
        found = ctypes.create_string_buffer(_UUID_BYTES)
        patience = (ctypes.c_long * 2)(1, 0)
        is_known = ctypes.CDLL(None).gethostuuid(found, patience) == 0
        return found.raw.hex() if is_known else None
    for path in _MACHINE_ID_FILES:
        try:
            text = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text and text != "uninitialized":
            return text
    return None
