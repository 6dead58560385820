"""Ending a family of processes, and knowing that it has ended.

A family is what one attempt started: its leader's session and group, everything below, and whatever left both but
still carries the attempt's marker in its environment. Asked first (SIGTERM), then ended (SIGKILL), until the process
table shows nobody. Called by `latch.py` and `orphans.py`. Tests: tests/unit/daemon/processes/test_ending.py.
"""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from local_daemon.processes import children, exits, process_table

MARKER = "ROPEWAY_ATTEMPT_ID"
"""The environment variable by which the processes of an attempt are recognised, wherever they went."""

_CONFIRM_S = 5.0

_EMPTY_LOOKS = {signal.SIGTERM: 3, signal.SIGKILL: 20}
"""So often a look must show nobody where somebody is born all the while. One may miss a family whose members each start
the next and end: a chain that moves on between the lines of the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What an attempt to end a family came to. Unconfirmed means: somebody may still be running."""

    confirmed: bool
    survivors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """Who lives of a family; nobody may be less than sure."""

    members: tuple[process_table.Entry, ...] = ()
    is_sure: bool = False


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
    Answers as soon as the last one is gone; a family that has ended already costs one look where nobody is born
    meanwhile, two where the system doesn't tell, and some more where births go on."""
    asked = await _signal_until_gone(family, signal.SIGTERM, within_s=grace_s)
    if asked.is_sure:
        return Ended(confirmed=True)
    _group_kill(family)
    ended = await _signal_until_gone(family, signal.SIGKILL, within_s=_CONFIRM_S)
    return Ended(confirmed=not ended.members, survivors=tuple(sorted(entry.pid for entry in ended.members)))


async def _signal_until_gone(family: Family, number: signal.Signals, *, within_s: float) -> _Look:
    deadline = monotonic() + within_s
    signalled: set[tuple[int, str]] = set()
    while (look := await _look(family, times=_EMPTY_LOOKS[number])).members:
        for entry in look.members:
            if (entry.pid, entry.started) not in signalled:
                signalled.add((entry.pid, entry.started))
                _signal_send(entry, number)
        left_s = deadline - monotonic()
        if left_s <= 0:
            break
        await exits.until_ended({entry.pid for entry in look.members}, timeout_s=left_s)
    return look


async def _look(family: Family, *, times: int) -> _Look:
    """The living members; none only where that is sure, or was seen so many times in a row."""
    for _ in range(times):
        newest = process_table.newest_pid()
        if members := family_find(family):
            return _Look(members=tuple(members))
        if newest is None:
            # A system that tells of no births (macOS): each look starts a program there, so one has to do.
            break
        if newest == process_table.newest_pid():
            # Nobody was born while we looked, so nobody slipped by.
            return _Look(is_sure=True)
        await asyncio.sleep(0)
    return _Look()


def _group_kill(family: Family) -> None:
    """End the leader's group in one blow: the kernel lets nobody start another meanwhile, as signals one by one do."""
    # Not reaped yet, so its pid, and with it the group's, can't belong to anybody else.
    if family.leader is not None and children.is_started_here(family.leader):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(family.leader, signal.SIGKILL)


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
