import pytest

from cloud.rest import guesses
from cloud.rest.guesses import Guesses
from local_daemon.protocol import errors


class Clock:
    """Stands until it is set."""

    def __init__(self) -> None:
        self.now_s = 600.0

    def __call__(self) -> float:
        return self.now_s


def wrong(noted: Guesses, address: str, times: int = guesses.WRONG_A_MINUTE) -> None:
    for _ in range(times):
        noted.note_wrong(address)


def test_who_is_wrong_too_often_waits_until_the_minute_is_over() -> None:
    clock = Clock()
    noted = Guesses(clock=clock)
    wrong(noted, "a")
    clock.now_s += 15
    with pytest.raises(errors.RateLimited) as caught:
        noted.require_few("a")
    assert caught.value.retry_after_s == 45
    clock.now_s += 45
    noted.require_few("a")


def test_one_more_try_is_left_until_then_and_others_have_all_of_theirs() -> None:
    noted = Guesses(clock=Clock())
    wrong(noted, "a", guesses.WRONG_A_MINUTE - 1)
    noted.require_few("a")
    wrong(noted, "a", 1)
    noted.require_few("b")


def test_many_addresses_take_no_more_than_so_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses, "_ADDRESSES_MAX", 2)
    noted = Guesses(clock=Clock())
    for address in ("a", "b", "c"):
        wrong(noted, address)
    noted.require_few("c")
    for address in ("a", "b"):
        with pytest.raises(errors.RateLimited):
            noted.require_few(address)
