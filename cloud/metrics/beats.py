"""Signs of life of this process's loops: each says when it last went round.

Memory only, and never asked by the loops themselves. Read by `cloud.health`. Tests:
tests/integration/cloud/health/test_probes.py.
"""

import time
from enum import StrEnum


class Loop(StrEnum):
    """What must go round."""

    SWEEPER = "sweeper"  # ends calls whose time is over; every few seconds
    SEALER = "sealer"  # chains the audit; whenever there is something


_last: dict[Loop, float] = {}


def beat(loop: Loop) -> None:
    """It went round just now."""
    _last[loop] = time.monotonic()


def age_s(loop: Loop) -> float | None:
    """Since when it has not; None before its first round."""
    at = _last.get(loop)
    return None if at is None else time.monotonic() - at
