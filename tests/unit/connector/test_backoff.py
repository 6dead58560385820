"""How long the connector waits before it dials again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector_agent.backoff import backoff_delay, next_attempt

JITTER = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(st.integers(min_value=1, max_value=10_000), JITTER)
def test_a_delay_lies_below_a_bound_that_doubles_up_to_a_minute(attempt: int, jitter: float) -> None:
    assert 0 <= backoff_delay(attempt, jitter=jitter).total_seconds() <= min(60, 2 ** min(attempt - 1, 10))


def test_jitter_spreads_over_the_whole_bound() -> None:
    assert backoff_delay(4, jitter=0).total_seconds() == 0
    assert backoff_delay(4, jitter=0.999).total_seconds() == pytest.approx(8, rel=0.01)


def test_attempts_count_from_one() -> None:
    with pytest.raises(ValueError, match="count from 1"):
        backoff_delay(0, jitter=0)


def test_a_link_that_held_begins_anew() -> None:
    assert next_attempt(7, open_s=31, is_refused=False) == 1


@given(st.integers(min_value=0, max_value=100))
def test_a_relay_that_keeps_restarting_is_dialled_again_within_seconds(attempt: int) -> None:
    assert next_attempt(attempt, open_s=0.1, is_refused=False) <= 2


def test_a_relay_that_does_not_answer_is_left_alone_longer_and_longer() -> None:
    assert next_attempt(4, open_s=None, is_refused=False) == 5


def test_a_refusal_waits_from_half_a_minute_on() -> None:
    assert backoff_delay(next_attempt(0, open_s=None, is_refused=True), jitter=0.999).total_seconds() > 30
