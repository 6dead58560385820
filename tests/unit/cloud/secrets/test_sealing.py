from typing import Any

import pytest

from cloud.secrets import sealing

OLD, NEW = b"o" * 32, b"n" * 32


@pytest.fixture(autouse=True)
def keys(settings: Any) -> None:
    settings.SEALING_KEYS = (OLD,)


def test_what_was_sealed_can_be_opened_and_does_not_show() -> None:
    text = sealing.sealed(b"hunter2", place="webhook:1")
    assert "hunter2" not in text
    assert sealing.opened(text, place="webhook:1") == b"hunter2"


def test_the_same_secret_never_looks_the_same() -> None:
    assert sealing.sealed(b"s", place="p") != sealing.sealed(b"s", place="p")


def test_in_another_place_it_is_worth_nothing() -> None:
    text = sealing.sealed(b"s", place="webhook:1")
    with pytest.raises(sealing.CannotOpen):
        sealing.opened(text, place="webhook:2")


@pytest.mark.parametrize("change", [lambda t: t[:-4] + "AAA=", lambda t: "v2" + t[2:], lambda t: "", lambda t: t[:20]])
def test_what_was_changed_cannot_be_opened(change: object) -> None:
    text = sealing.sealed(b"a secret", place="p")
    with pytest.raises(sealing.CannotOpen):
        sealing.opened(change(text), place="p")  # type: ignore[operator]


def test_a_rotated_key_still_opens_until_it_is_taken_out(settings: Any) -> None:
    text = sealing.sealed(b"s", place="p")
    settings.SEALING_KEYS = (NEW, OLD)
    assert sealing.opened(text, place="p") == b"s"
    assert not sealing.is_current(text)
    assert sealing.is_current(sealing.sealed(b"s", place="p"))
    settings.SEALING_KEYS = (NEW,)
    with pytest.raises(sealing.CannotOpen):
        sealing.opened(text, place="p")
