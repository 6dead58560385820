"""How long to wait before dialling again.

Pure. Called by `dialer`. Tests: tests/unit/connector/test_backoff.py.
"""

from datetime import timedelta

_FIRST_S = 1.0
_LONGEST_S = 60.0
_HEALTHY_S = 30.0
_FLAPPING_ATTEMPT = 2
_REFUSED_ATTEMPT = 6


def backoff_delay(attempt: int, *, jitter: float) -> timedelta:
    """Wait before reconnect number `attempt` (1-based): anywhere up to a bound that doubles from 1 s and is capped at
    60 s. `jitter` in [0, 1) spreads a fleet over it. Raises ValueError if attempt < 1.
    Source: "full jitter" in AWS's "Exponential Backoff and Jitter"."""
    if attempt < 1:
        raise ValueError("attempts count from 1")
    bound_s = min(_LONGEST_S, _FIRST_S * 2.0 ** min(attempt - 1, 10))
    return timedelta(seconds=bound_s * jitter)


def next_attempt(attempt: int, *, open_s: float | None, is_refused: bool) -> int:
    """The number of the next reconnect after one that ended. `open_s` is how long its link was open, None if it never
    was. A link that held begins anew; one that opened and soon ended waits a little (a relay that restarts is back in
    seconds); a refusal does not pass by itself within seconds, so its waits begin at half a minute."""
    if is_refused:
        return max(attempt + 1, _REFUSED_ATTEMPT)
    if open_s is None:
        return attempt + 1
    return 1 if open_s > _HEALTHY_S else min(attempt + 1, _FLAPPING_ATTEMPT)
