"""What a daemon that died left running: found again by what was recorded, and ended.

A pid alone proves nothing (it may have passed to a stranger), so a process counts only with its recorded start time,
which names the boot as well, or with the attempt's marker in its environment. Called by recovery only.
Tests: tests/unit/daemon/processes/test_orphans.py.
"""

from local_daemon.processes import ending, process_table


def orphan_is_alive(*, pid: int, started_at: str) -> bool:
    """Whether exactly the recorded process still runs."""
    return process_table.started_at(pid) == started_at


async def orphan_end(*, pid: int, started_at: str, attempt_id: str, grace_s: float) -> ending.Ended:
    """End the recorded process with its session and descendants, and every process that carries the attempt's marker.
    Strangers that got the pid meanwhile are left alone. Idempotent."""
    leader = pid if orphan_is_alive(pid=pid, started_at=started_at) else None
    family = ending.Family(leader=leader, attempt_id=attempt_id, is_inherited=True)
    return await ending.family_end(family, grace_s=grace_s)
