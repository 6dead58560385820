import pytest

from cloud.limits.buckets import LEASE_S, Lease, LeasedBucket


class Database:
    """The bucket that all processes lease from; it does not fill while a test runs."""

    def __init__(self, level: float) -> None:
        self.level = level
        self.asked: list[int] = []

    def lease(self, wanted: int) -> Lease:
        self.asked.append(wanted)
        granted = min(float(wanted), self.level)
        self.level -= granted
        return Lease(granted=granted, level=self.level)


def bucket_on(database: Database, *, rate_per_s: float = 10, burst: int = 40) -> LeasedBucket:
    return LeasedBucket(rate_per_s=rate_per_s, burst=burst, lease=database.lease)


def test_calls_are_counted_here_and_leased_in_chunks() -> None:
    database = Database(level=20)
    bucket = bucket_on(database)
    assert [bucket.take(0.0) for _ in range(10)] == [0.0] * 10
    assert database.asked == [10]


def test_two_processes_never_make_more_calls_than_the_database_granted() -> None:
    database = Database(level=25)
    here, there = bucket_on(database), bucket_on(database)
    taken = [one.take(0.0) for _ in range(20) for one in (here, there)]
    assert taken.count(0.0) == 25


def test_a_refusal_says_when_the_next_call_may_be_made() -> None:
    bucket = bucket_on(Database(level=0), rate_per_s=0.5)
    assert bucket.take(0.0) == pytest.approx(2.0)


def test_what_was_leased_and_not_used_is_lost() -> None:
    database = Database(level=20)
    bucket = bucket_on(database)
    bucket.take(0.0)
    bucket.take(LEASE_S + 1)
    assert database.asked == [10, 10]


def test_a_call_not_made_after_all_may_be_made_later() -> None:
    bucket = bucket_on(Database(level=1))
    bucket.take(0.0)
    bucket.give_back()
    assert bucket.take(0.0) == 0.0
    assert bucket.take(0.0) > 0


def test_leasing_ahead_begins_before_the_lease_is_used_up() -> None:
    bucket = bucket_on(Database(level=20))
    for _ in range(4):
        bucket.take(0.0)
    assert not bucket.is_low(0.0)
    bucket.take(0.0)
    assert bucket.is_low(0.0)
    bucket.renew(0.0)
    assert not bucket.is_low(0.0)


def test_a_lease_is_for_a_part_of_the_burst_only() -> None:
    database = Database(level=100)
    bucket_on(database, rate_per_s=1000, burst=100).take(0.0)
    assert database.asked == [25]


def test_nothing_is_leased_ahead_for_who_may_call_rarely() -> None:
    bucket = bucket_on(Database(level=3), rate_per_s=0.1, burst=3)
    bucket.take(0.0)
    assert not bucket.is_low(0.0)
