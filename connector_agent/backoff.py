"""How long to wait before dialling again.

Pure. Called by `dialer`. Tests: tests/unit/connector/test_backoff.py.
"""

from datetime import timedelta

_LEAST_S = 1.0
_LONGEST_S = 60.0
_HEALTHY_S = 30.0
_FLAPPING_S = 2.0
_REFUSED_S = 32.0


def backoff_delay(longest_s: float, *, jitter: float) -> timedelta:
    """The wait before the next dial: anywhere up to a bound in seconds. `jitter` in [0, 1) spreads a fleet over it.
    Source: "full jitter" in AWS's "Exponential Backoff and Jitter"."""
    return timedelta(seconds=longest_s * jitter)


def longest_wait(*, away_s: float, open_s: float | None, is_refused: bool) -> float:
    """The bound, in seconds, after a dial that ended. `away_s` is how long there has been no link, `open_s` how long
    the one that just ended was open, None if there was none.

    Nobody waits longer than they have been away, so that no outage costs a machine much more than twice its time; 60 s
    at most. Counting dials instead would let some that were refused within one second make the next wait a minute. A
    link that opened and soon ended waits a little, and a refusal, which does not pass by itself within seconds, half a
    minute."""
    if is_refused:
        least = _REFUSED_S
    elif open_s is not None and open_s <= _HEALTHY_S:
        least = _FLAPPING_S
    else:
        least = _LEAST_S
    return min(_LONGEST_S, max(least, away_s))
