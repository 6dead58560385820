"""How long to wait before dialling again.

Pure. Called by `dialer`. Tests: tests/unit/connector/test_backoff.py.
"""

from datetime import timedelta

_FIRST_S = 1.0
_LONGEST_S = 60.0


def backoff_delay(attempt: int, *, jitter: float) -> timedelta:
    """Wait before reconnect number `attempt` (1-based): anywhere up to a bound that doubles from 1 s and is capped at
    60 s. `jitter` in [0, 1) spreads a fleet over it. Raises ValueError if attempt < 1.
    Source: "full jitter" in AWS's "Exponential Backoff and Jitter"."""
    if attempt < 1:
        raise ValueError("attempts count from 1")
    bound_s = min(_LONGEST_S, _FIRST_S * 2.0 ** min(attempt - 1, 10))
    return timedelta(seconds=bound_s * jitter)
