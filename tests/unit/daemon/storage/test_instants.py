"""Stored instants name one moment and sort as text."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_daemon.storage import instants

AWARE = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9000, 1, 1)).map(  # noqa: DTZ001
    lambda naive: naive.replace(tzinfo=UTC)
)


@given(AWARE, AWARE)
def test_text_sorts_as_time_does(one: datetime, other: datetime) -> None:
    assert (one < other) == (instants.instant_text(one) < instants.instant_text(other))
    assert instants.instant_read(instants.instant_text(one)) == one


def test_another_zone_is_stored_in_utc() -> None:
    instant = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    assert instants.instant_text(instant) == "2026-01-02T01:00:00.000000+00:00"


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        instants.instant_text(datetime(2026, 1, 2))  # noqa: DTZ001
