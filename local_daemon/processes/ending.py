"""Ending a family of processes, and knowing that it has ended.

A family is what one attempt started: its leader's session and group, everything below, and whatever left both but
still carries the attempt's marker in its environment. Asked first (SIGTERM), then ended (SIGKILL), until the process
table shows nobody. Called by `latch.py` and `orphans.py`. Tests: tests/unit/daemon/processes/test_ending.py.
"""

import os
import signal
import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from local_daemon.processes import children, exits, process_table

MARKER = "ROPEWAY_ATTEMPT_ID"
"""The environment variable by which the processes of an attempt are recognised, wherever they went."""

_CONFIRM_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What an attempt to end a family came to. Unconfirmed means: somebody may still be running."""

    confirmed: bool
    survivors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How the processes of one attempt are recognised.

    `leader` is a pid whose identity the caller vouches for (an unreaped child, or pid and start time checked), or None
    when only the marker is left to go by. `territory` counts only among the daemon's own descendants: a person's shell
    may well stand in the same directory. `is_inherited` says that an earlier daemon started the family.
    """

    leader: int | None
    attempt_id: str | None
    territory: Path | None = None
    is_inherited: bool = False


def family_find(family: Family) -> list[process_table.Entry]:
    """The living members of the family. Reads only the daemon's own descendants when orphans come to it anyway;
    what an earlier daemon left went to init when that one died."""
    comes_to_us = children.is_subreaper() and not family.is_inherited
    own = process_table.descendants_of(os.getpid()) if comes_to_us else None
    entries = process_table.all_entries() if own is None else own
    members = {entry.pid for entry in entries if _is_member(entry, family, is_descendant=own is not None)}
    members = process_table.below(members, entries) - {os.getpid()}
    for entry in entries:
        if entry.has_ended and _is_stray(entry, own is not None):
            children.adopted_reap(entry.pid)
    return [entry for entry in entries if entry.pid in members and not entry.has_ended]


def _is_member(entry: process_table.Entry, family: Family, *, is_descendant: bool) -> bool:
    if family.leader is not None and family.leader in (entry.pid, entry.group, entry.session):
        return True
    if children.is_started_here(entry.pid) or entry.has_ended:
        return False
    if family.attempt_id is not None and process_table.carries(entry.pid, MARKER, family.attempt_id):
        return True
    return is_descendant and family.territory is not None and process_table.works_in(entry.pid, family.territory)


def _is_stray(entry: process_table.Entry, is_subreaper: bool) -> bool:
    return is_subreaper and entry.parent == os.getpid() and not children.is_started_here(entry.pid)


async def family_end(family: Family, *, grace_s: float) -> Ended:
    """Ask every member to stop, wait at most `grace_s`, end whoever is left, and look until nobody is.
    Answers as soon as the last one is gone; a family that has ended already costs one look."""
    await _signal_until_gone(family, signal.SIGTERM, within_s=grace_s)
    survivors = await _signal_until_gone(family, signal.SIGKILL, within_s=_CONFIRM_S)
    return Ended(confirmed=not survivors, survivors=tuple(sorted(survivors)))


async def _signal_until_gone(family: Family, number: signal.Signals, *, within_s: float) -> Collection[int]:
    deadline = monotonic() + within_s
    signalled: set[tuple[int, str]] = set()
    while members := family_find(family):
        for entry in members:
            if (entry.pid, entry.started) not in signalled:
                signalled.add((entry.pid, entry.started))
                _signal_send(entry, number)
        left_s = deadline - monotonic()
        if left_s <= 0:
            return {entry.pid for entry in members}
        await exits.until_ended({entry.pid for entry in members}, timeout_s=left_s)
    return ()


def _signal_send(entry: process_table.Entry, number: signal.Signals) -> None:
    # Between looking and signalling the pid may have passed to a stranger. A pidfd holds on to one process, so once the
    # start time is seen to match behind it, the signal cannot go astray.
    with suppress(ProcessLookupError, PermissionError):
        if sys.platform == "linux":
            with exits.exit_descriptor(entry.pid) as descriptor:
                current = process_table.entry_read(entry.pid)
                if current is not None and current.started == entry.started:
                    signal.pidfd_send_signal(descriptor, number)
        else:
            os.kill(entry.pid, number)
