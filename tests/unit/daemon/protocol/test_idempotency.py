"""What may be a key, and which call it stands for."""

import pytest

from local_daemon.protocol import errors, ids
from local_daemon.protocol.idempotency import call_id_of_key


def test_a_key_stands_for_the_same_call_always_and_for_each_actor_another() -> None:
    call_id = call_id_of_key("build-1", actor="operator")
    assert ids.is_id(ids.IdPrefix.CALL, call_id)
    assert call_id == call_id_of_key("build-1", actor="operator")
    others = {call_id_of_key("build-2", actor="operator"), call_id_of_key("build-1", actor="somebody")}
    assert len({call_id, *others}) == 3


@pytest.mark.parametrize("key", ["", " ", "two words", "line\n", "a" * 201, "é", "a\0b"])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(errors.InvalidRequest):
        call_id_of_key(key, actor="operator")


@pytest.mark.parametrize("key", ["a", "a" * 200, "!~", "build/2026-11-22#1"])
def test_a_key_is_any_printable_word(key: str) -> None:
    assert call_id_of_key(key, actor="operator").startswith("call_")
