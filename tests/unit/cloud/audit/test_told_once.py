"""What repeats is told now and then."""

from cloud.audit import told_once
from cloud.audit.told_once import ToldOnce


def test_what_repeats_is_told_once_a_minute() -> None:
    now = [0.0]
    told = ToldOnce(clock=lambda: now[0])
    assert [told.is_news("a"), told.is_news("a"), told.is_news("b")] == [True, False, True]
    now[0] = 59.9
    assert not told.is_news("a")
    now[0] = 60.0
    assert [told.is_news("a"), told.is_news("a")] == [True, False]


def test_who_repeats_does_not_put_off_the_next_telling() -> None:
    now = [0.0]
    told = ToldOnce(clock=lambda: now[0])
    told.is_news("a")
    for second in range(1, 60):
        now[0] = float(second)
        assert not told.is_news("a")
    now[0] = 60.0
    assert told.is_news("a")


def test_no_flood_of_names_takes_more_memory() -> None:
    told = ToldOnce(clock=lambda: 0.0)
    for number in range(3 * told_once.KEPT):
        assert told.is_news(number)
    assert len(told._told) <= told_once.KEPT
