"""The system's process table, read: who is alive since when, whose child, in which session, with which marker.

Linux reads /proc; other systems ask `ps`, which shows no environment, so there a child that leaves both its group and
its parents is not found. Deliberately sends no signal (`ending.py` does).
Tests: tests/unit/daemon/processes/test_ending.py and test_orphans.py.
"""

import functools
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_ENDED_STATES = frozenset("ZXx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One process as the table shows it."""

    pid: int
    parent: int
    group: int
    session: int
    started: str
    """When it started, in the system's own notation: together with the pid it names one process of one boot."""
    has_ended: bool
    """A zombie: it runs no more and waits to be reaped."""


@functools.cache
def boot_id() -> str:
    """The random id of this boot of the machine; empty where the system has none."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def started_at(pid: int) -> str | None:
    """What tells this process from any other that has or had its pid, on this boot or before; None if it is gone.
    An opaque word to store beside the pid."""
    entry = entry_read(pid)
    return None if entry is None or entry.has_ended else f"{boot_id()}:{entry.started}"


def newest_pid() -> str | None:
    """The pid that was given last, on Linux: while it stays the same, nobody was born."""
    try:
        return (_PROC / "loadavg").read_text().rsplit(maxsplit=1)[-1]
    except (OSError, IndexError):
        return None


def entry_read(pid: int) -> Entry | None:
    """The table's row of one process, None if there is none."""
    if sys.platform != "linux":
        return next(iter(_ps_rows("-p", str(pid))), None)
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command name stands in parentheses and may itself contain any character, so fields count from the last one.
    fields = stat[stat.rindex(b")") + 2 :].split()
    return Entry(
        pid=pid,
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        started=fields[19].decode(),
        has_ended=fields[0].decode() in _ENDED_STATES,
    )


def all_entries() -> list[Entry]:
    """Every process of the machine that we may see."""
    if sys.platform != "linux":
        return list(_ps_rows("-A"))
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [entry for pid in pids if (entry := entry_read(pid)) is not None]


def descendants_of(pid: int) -> list[Entry] | None:
    """Everything below a process, parents first; None where the kernel keeps no lists of children.
    Costs a few reads for each descendant, however many processes the machine runs."""
    seen: set[int] = set()
    while True:
        found = _descendants_look(pid)
        # A process whose parent ends while we look moves from a list that wasn't read yet to one that was. So one look
        # proves nothing; a second that shows nobody new does.
        if found is None or (seen and {entry.pid for entry in found} <= seen):
            return found
        seen |= {pid, *(entry.pid for entry in found)}


def _descendants_look(pid: int) -> list[Entry] | None:
    found: list[Entry] = []
    level = [pid]
    while level:
        below: list[int] = []
        for parent in level:
            children = _children_of(parent)
            if children is None:
                return None
            below += children
        found += [entry for child in below if (entry := entry_read(child)) is not None]
        level = below
    return found


def _children_of(pid: int) -> list[int] | None:
    if not os.path.exists("/proc/self/task"):
        return None
    children: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            try:
                with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                    children += map(int, file.read().split())
            except FileNotFoundError:
                if os.path.exists(f"/proc/{pid}/task/{thread}"):
                    return None  # This kernel is built without CONFIG_PROC_CHILDREN.
            except ProcessLookupError:
                continue  # The thread has just ended.
    except (FileNotFoundError, ProcessLookupError):
        return []
    return children


def below(roots: Iterable[int], entries: Iterable[Entry]) -> set[int]:
    """The pids of `roots` and of everything among `entries` that descends from one of them."""
    children: dict[int, list[int]] = {}
    for entry in entries:
        children.setdefault(entry.parent, []).append(entry.pid)
    found: set[int] = set()
    level = list(roots)
    while level:
        pid = level.pop()
        if pid not in found:
            found.add(pid)
            level += children.get(pid, ())
    return found


def carries(pid: int, variable: str, value: str) -> bool:
    """Whether the process was started with this environment variable; False where we may not look."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return f"{variable}={value}".encode() in file.read().split(b"\0")
    except OSError:
        return False


def works_in(pid: int, directory: Path) -> bool:
    """Whether the process's working directory is this one or below it; False where we may not look."""
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd")).is_relative_to(directory)
    except OSError:
        return False


def _ps_rows(*selection: str) -> Iterator[Entry]:
    columns = "pid=,ppid=,pgid=,sess=,stat=,lstart="
    listing = subprocess.run(
        ["/bin/ps", *selection, "-o", columns], env={"LC_ALL": "C"}, capture_output=True, check=False, text=True
    )
    for line in listing.stdout.splitlines():
        pid, parent, group, session, state, started = line.split(maxsplit=5)
        yield Entry(
            pid=int(pid),
            parent=int(parent),
            group=int(group),
            session=int(session, 16),  # A kernel address on macOS, never a pid: there only the group identifies.
            started=started.strip(),
            has_ended=state.startswith("Z"),
        )
