"""How long the connector waits before it dials again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector_agent.backoff import backoff_delay, longest_wait

JITTER = st.floats(min_value=0, max_value=1, exclude_max=True)
AWAY = st.floats(min_value=0, max_value=1e6)


@given(AWAY)
def test_nobody_waits_longer_than_they_have_been_away_nor_a_minute(away_s: float) -> None:
    assert longest_wait(away_s=away_s, open_s=None, is_refused=False) <= min(60, max(1, away_s))


@given(st.lists(JITTER, min_size=40, max_size=40), st.floats(min_value=0, max_value=50))
def test_an_outage_costs_twice_its_time_at_most_however_the_dials_fell(jitters: list[float], outage_s: float) -> None:
    away_s = 0.0
    for jitter in jitters:
        longest_s = longest_wait(away_s=away_s, open_s=None, is_refused=False)
        away_s += backoff_delay(longest_s, jitter=jitter).total_seconds()
        if away_s >= outage_s:
            break
    assert away_s <= max(1.0, 2 * outage_s) + 1


def test_a_long_outage_is_dialled_into_no_more_than_every_half_minute_on_average() -> None:
    longest_s = longest_wait(away_s=3600, open_s=None, is_refused=False)
    assert backoff_delay(longest_s, jitter=0.5).total_seconds() == 30


@given(JITTER)
def test_jitter_spreads_over_the_whole_bound(jitter: float) -> None:
    assert backoff_delay(8, jitter=jitter).total_seconds() == pytest.approx(8 * jitter, abs=1e-5)


def test_a_link_that_held_is_dialled_again_within_a_second() -> None:
    assert longest_wait(away_s=0, open_s=31, is_refused=False) == 1


@given(st.floats(min_value=0, max_value=30))
def test_a_relay_that_keeps_restarting_is_dialled_again_within_seconds(open_s: float) -> None:
    assert longest_wait(away_s=0, open_s=open_s, is_refused=False) == 2


@given(AWAY)
def test_a_refusal_waits_from_half_a_minute_on(away_s: float) -> None:
    assert longest_wait(away_s=away_s, open_s=None, is_refused=True) > 30
