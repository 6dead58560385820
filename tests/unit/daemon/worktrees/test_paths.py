"""Paths as text: reversible, printable, and never two paths with one text."""

from hypothesis import given
from hypothesis import strategies as st

from local_daemon.worktrees import paths


def test_ordinary_names_are_themselves():
    assert paths.path_text("src/größe (1).py".encode()) == "src/größe (1).py"


def test_what_would_break_a_line_or_json_is_escaped():
    assert paths.path_text(b"a\nb\\c\xff") == "a\\012b\\134c\\377"
    assert (paths.path_text(b"a\tb"), paths.path_text(b"a\\011b")) == ("a\\011b", "a\\134011b")
    assert paths.path_text("a\u202eb".encode()) == "a\\342\\200\\256b"


@given(raw=st.one_of(st.binary(max_size=20), st.text(max_size=20).map(lambda text: text.encode())))
def test_the_way_back_gives_the_same_bytes(raw):
    text = paths.path_text(raw)
    assert paths.path_raw(text) == raw
    assert text.isprintable()
    text.encode("utf-8")
