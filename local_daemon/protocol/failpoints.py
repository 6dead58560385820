"""Places where a test may kill the process, to prove that a crash there loses nothing.

Deliberately not a debugging aid: outside `ROPEWAY_ENV=test` a failpoint is one falsy check. It lives in `protocol`
because all four components stand on it and none may import another. Crash journeys enumerate the names from the code.
Tests: tests/journeys/test_crashes.py.
"""

import os
import signal

_armed: str | None = os.environ.get("ROPEWAY_FAILPOINT") if os.environ.get("ROPEWAY_ENV") == "test" else None


def failpoint(name: str) -> None:
    """Kill this very process, without any clean-up, where the environment armed `name`; otherwise do nothing."""
    if _armed is not None and _armed == name:
        os.kill(os.getpid(), signal.SIGKILL)
