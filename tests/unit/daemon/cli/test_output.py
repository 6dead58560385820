"""An executor's output as a person reads it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_daemon.cli.output import Lines, Tail, duration, readable


def test_pieces_cut_anywhere_make_the_lines_that_were_written() -> None:
    tail = Tail()
    for piece in ("one\ntw", "o\n", "", "thr", "ee"):
        tail.take(piece)
    assert tail.last(9) == ["one", "two", "three"]
    assert tail.last(1) == ["three"]
    assert tail.last(0) == []


@given(text=st.text(alphabet="ab\n", max_size=60), cuts=st.lists(st.integers(0, 60), max_size=5))
def test_where_it_is_cut_makes_no_difference(text: str, cuts: list[int]) -> None:
    tail, at = Tail(), 0
    for cut in sorted({min(cut, len(text)) for cut in cuts} | {len(text)}):
        tail.take(text[at:cut])
        at = cut
    assert tail.last(99) == text.removesuffix("\n").split("\n") if text else not tail


def test_a_line_without_end_costs_no_memory_without_end() -> None:
    tail = Tail()
    for _ in range(100):
        tail.take("x" * 10_000)
    tail.take("\nnext")
    assert tail.last(1) == ["next"]
    assert len(tail.last(2)[0]) <= 500


@given(text=st.text(alphabet="ab\n", max_size=60), cuts=st.lists(st.integers(0, 60), max_size=5))
def test_each_line_is_told_once_it_has_ended_and_never_again(text: str, cuts: list[int]) -> None:
    lines, told, at = Lines(), list[str](), 0
    for cut in sorted({min(cut, len(text)) for cut in cuts} | {len(text)}):
        told += lines.take(text[at:cut])
        at = cut
        assert told == text[:at].split("\n")[:-1]
    assert told + lines.rest() == (text.removesuffix("\n").split("\n") if text else [])
    assert lines.rest() == []


def test_what_begins_in_the_middle_of_a_line_begins_with_the_next_one() -> None:
    lines = Lines(is_cut=True)
    assert lines.take("lf a li") == []
    assert lines.take("ne\nwhole\n") == ["whole"]
    assert lines.take("more\n") == ["more"]
    assert Lines(is_cut=True).rest() == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("compiling 3 files", "compiling 3 files"),
        ('{"type":"item.completed","item":{"type":"agent_message","text":"Done.\\nAll of it"}}',
         "item.completed  agent_message  Done. All of it"),
        ('{"type":"item.started","item":{"type":"command_execution","command":"make test"}}',
         "item.started  command_execution  make test"),
        ('{"type":"assistant","message":{"content":[{"type":"text","text":"I look"},'
         '{"type":"tool_use","name":"Bash","input":{"command":"ls"}}]}}',
         "assistant  text  I look  tool_use  Bash  ls"),
        ('{"type":"message","text":"hello"}', "message  hello"),
        ('{"type":"assistant","mess', '{"type":"assistant","mess'),
        ('{"n": 1}', '{"n": 1}'),
        ("\x1b[31mred\x1b[0m \x07", "red  "),
        ('{"text":"\\u001b[2Jgone"}', "gone"),
        ("\x1b]0;a title, and all the rest", " ]0;a title, and all the rest"),
    ],
)  # fmt: skip
def test_a_line_is_shown_as_words(line: str, words: str) -> None:
    assert readable(line) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.0 s"), (0.44, "0.4 s"), (59.9, "59.9 s"), (60, "0:01:00"), (3661.6, "1:01:02"), (90_000, "1 day, 1:00:00")],
)
def test_a_short_time_is_told_in_tenths_and_a_long_one_in_hours(seconds: float, words: str) -> None:
    assert duration(timedelta(seconds=seconds)) == words
