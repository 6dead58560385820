"""What one release says, as another one reads it."""

from uuid import uuid4

import pytest

from cloud.tenancy import hints, revocations


@pytest.mark.parametrize(
    ("payload", "parts"),
    [("a/b", ("a", "b")), ("a", ("a", "")), ("", ("", "")), ("a/b/c/d", ("a", "b")), ("a//c", ("a", ""))],
)
def test_parts_behind_those_that_are_known_are_passed_over(payload: str, parts: tuple[str, str]) -> None:
    assert hints.hint_parts(payload, 2) == parts


def test_a_part_that_is_no_id_was_not_said() -> None:
    known = uuid4()
    assert hints.id_find(str(known)) == known
    assert hints.id_find("everybody") is None
    assert hints.id_find("") is None


def test_a_revocation_may_say_more_than_is_known() -> None:
    ended = uuid4()
    assert revocations.revocation_read(f"token:{ended}:at once") == revocations.Revocation(
        kind=revocations.Revoked.TOKEN, id=ended
    )
    assert revocations.revocation_read("token:some other name") is None
