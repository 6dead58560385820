import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_daemon.cli import task_files
from local_daemon.protocol import errors

NAMES = st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=5)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**31), 2**31)
    | st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("retry: {max_attempts: 2, on: [executor]}", {"retry": {"max_attempts": 2, "on": ["executor"]}}),
        ("params: {a: yes, b: NO, c: off}", {"params": {"a": "yes", "b": "NO", "c": "off"}}),
        ("params: {a: 1:30, b: 010, c: 0x1f}", {"params": {"a": "1:30", "b": "010", "c": "0x1f"}}),
        ("params: {a: 2026-01-02, b: 1.5, c: -3, d: true, e: ~, f: }", {
            "params": {"a": "2026-01-02", "b": 1.5, "c": -3, "d": True, "e": None, "f": None}}),
        ('{\n\t"goal": "a\\/b \\ud83d\\ude00"\n}', {"goal": "a/b \N{GRINNING FACE}"}),
        ("{goal: g}", {"goal": "g"}),
        ("goal: |\n  two\n  lines\n", {"goal": "two\nlines\n"}),
    ],
)  # fmt: skip
def test_a_task_file_means_what_it_says(text: str, expected: dict[str, Any]) -> None:
    assert task_files.task_file_parse(text, name="--task") == expected


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("goal: g\ngoal: h", "'goal' is repeated"),
        ("params: {a: 1, a: 1}", "'a' is repeated"),
        ('{"goal": "g", "goal": "h"}', "repeated"),
        ('{"goal": NaN}', "NaN"),
        ("params: {1: 2}", "must be a text"),
        ("? [a]\n: b", "must be a text"),
        ("[" * 5000, "deep"),
        ('{"a":' * 5000, "nested"),
        ("params: &a {x: *a}", "recursive"),
        ('goal: "a\\0b"', "NUL"),
        ("goal: !!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("- a", "mapping"),
        ("", "mapping"),
        ("goal: [", "not valid YAML"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(text: str, named: str) -> None:
    with pytest.raises(errors.InvalidRequest, match=named):
        task_files.task_file_parse(text, name="--task")


@given(st.dictionaries(NAMES, VALUES | st.lists(VALUES, max_size=3), min_size=1, max_size=4))
def test_json_is_read_as_it_was_written(document: dict[str, Any]) -> None:
    assert task_files.task_file_parse(json.dumps(document, indent="\t"), name="--task") == document


@given(st.text(max_size=80))
def test_any_text_is_a_task_or_refused(text: str) -> None:
    try:
        document = task_files.task_file_parse(text, name="--task")
    except errors.InvalidRequest:
        return
    assert isinstance(document, dict)
