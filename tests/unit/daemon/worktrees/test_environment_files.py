"""An environment file is read as those who use it read it, and where they differ no secret is missed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_daemon.worktrees import environment_files


def secrets_of(*texts: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        environment_files.secrets_note(text, found)
    return found


@pytest.mark.parametrize(
    ("name", "is_one"),
    [(".env", True), (".env.local", True), ("test.env", True), ("env", False), ("x.environment", False)],
)
def test_an_environment_file_is_known_by_its_name(name: str, is_one: bool) -> None:
    assert environment_files.is_environment_file(name) is is_one


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("TOKEN=abcdefgh", {"TOKEN": "abcdefgh"}),
        ("export TOKEN = 'abcdefgh'\r\n", {"TOKEN": "abcdefgh"}),
        ('TOKEN="abc\\ndef\\"g"', {"TOKEN": 'abc\ndef"g', "TOKEN 2": "abc", "TOKEN 3": 'def"g'}),
        ("TOKEN=`abcdefgh` # of mine", {"TOKEN": "abcdefgh"}),
        ("TOKEN=abcdefgh # of mine", {"TOKEN": "abcdefgh", "TOKEN 2": "abcdefgh # of mine"}),
        ("TOKEN=abc#def", {"TOKEN": "abc#def"}),
        ("# TOKEN=abcdefgh\nPORT=3000\nDEBUG=true\nnothing\n=x", {}),
        ("TITLE='it is\nTOKEN='abcdefgh'\n", {"TOKEN": "abcdefgh"}),
        ("DB=postgres://u:hunter@h/d", {"DB": "postgres://u:hunter@h/d", "DB password": "hunter"}),
        (
            "HOOK=https://h/T01/a0B1c2D3e4F5g6H7i8J9",
            {"HOOK": "https://h/T01/a0B1c2D3e4F5g6H7i8J9", "HOOK key": "a0B1c2D3e4F5g6H7i8J9"},
        ),
    ],
)
def test_the_secrets_of_a_file_are_found(text: str, found: dict[str, str]) -> None:
    assert secrets_of(text) == found


def test_a_key_of_several_lines_is_found_whole_and_by_its_lines() -> None:
    found = secrets_of('PRIVATE_KEY="-----BEGIN KEY-----\nabcdefgh01234567\n-----END KEY-----"\nPORT=3000\n')
    assert found["PRIVATE_KEY"] == "-----BEGIN KEY-----\nabcdefgh01234567\n-----END KEY-----"
    assert "abcdefgh01234567" in found.values()


def test_of_two_files_both_values_are_secrets() -> None:
    assert secrets_of("TOKEN=abcdefgh", "TOKEN=bcdefghi", "TOKEN=abcdefgh") == {
        "TOKEN": "abcdefgh",
        "TOKEN 2": "bcdefghi",
    }


@given(text=st.text(st.sampled_from("AK=\"'` #\\\n\tx"), max_size=200))
def test_whatever_the_file_holds_it_can_be_read(text: str) -> None:
    assert all(secrets_of(f"{text}\nTOKEN=abcdefgh\n").values())
    assert "abcdefgh" in secrets_of(f"{text}\nTOKEN=abcdefgh\n").values()
