import pytest

from cloud.access import credentials


def test_a_new_token_is_well_formed_and_never_the_same() -> None:
    first, second = credentials.token_new(), credentials.token_new()
    assert first.startswith("rw_")
    assert credentials.is_token(first)
    assert first != second


def test_a_typing_error_is_seen_without_a_look_up() -> None:
    token = credentials.token_new()
    wrong = token[:10] + ("a" if token[10] != "a" else "b") + token[11:]
    assert not credentials.is_token(wrong)


@pytest.mark.parametrize("text", ["", "rw_", "Bearer x", "rw_" + "a" * 40 + "_aaaaaa", "rw_" + "é" * 40 + "_aaaaaa"])
def test_what_cannot_be_a_token_is_none(text: str) -> None:
    assert not credentials.is_token(text)


def test_what_is_kept_does_not_contain_the_secret_and_is_the_same_each_time() -> None:
    token = credentials.token_new()
    assert credentials.digest(token) == credentials.digest(token)
    assert len(credentials.digest(token)) == 32
    assert token.encode() not in credentials.digest(token)


def test_a_code_may_be_typed_as_people_type() -> None:
    code = credentials.enrollment_code_new()
    assert credentials.code_normalized(f" {code.lower()} ") == credentials.code_normalized(code)
    assert credentials.code_normalized("oilo-1234") == "01101234"


def test_a_claim_code_is_two_groups_of_four() -> None:
    assert [len(group) for group in credentials.claim_code_new().split("-")] == [4, 4]
