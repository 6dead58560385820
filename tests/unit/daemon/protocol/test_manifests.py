"""A manifest is checked as a whole before anything of it exists."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from local_daemon.protocol.manifests import RunManifest, circle_find

TASK = {"goal": "g", "executor": "fake"}


def manifest(*steps: dict[str, Any], **fields: Any) -> RunManifest:
    return RunManifest.model_validate({"objective": "o", "steps": [{"task": TASK, **step} for step in steps], **fields})


def test_a_graph_waits_for_what_it_names() -> None:
    made = manifest({"name": "a"}, {"name": "b", "depends_on": ["a", "a"]})
    assert made.needs() == {"a": (), "b": ("a",)}


def test_a_sequence_waits_for_the_one_before() -> None:
    made = manifest({"name": "a"}, {"name": "b", "builds_on": "a"}, {"name": "c"}, order="sequence")
    assert made.needs() == {"a": (), "b": ("a",), "c": ("b",)}


@pytest.mark.parametrize(
    ("steps", "fields", "words"),
    [
        ([{"name": "a"}, {"name": "a"}], {}, "more than one is called a"),
        ([{"name": "a", "depends_on": ["b"]}], {}, "there is no step b"),
        ([{"name": "a", "depends_on": ["a"]}], {}, "a → a wait for each other"),
        (
            [
                {"name": "a", "depends_on": ["b"]},
                {"name": "b", "depends_on": ["c"]},
                {"name": "c", "depends_on": ["a"]},
            ],
            {},
            "wait for each other",
        ),
        ([{"name": "a"}, {"name": "b", "builds_on": "a"}], {}, "a is not a step that it waits for"),
        ([{"name": "a"}, {"name": "b", "depends_on": ["a"]}], {"order": "sequence"}, "goes with order 'graph' only"),
        ([{"name": "a", "dependson": ["b"]}], {}, "dependson"),
        ([], {}, "steps"),
    ],
)
def test_what_can_never_be_carried_out_is_refused(
    steps: list[dict[str, Any]], fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        manifest(*steps, **fields)


def test_all_that_is_wrong_with_who_waits_for_whom_is_said_at_once() -> None:
    with pytest.raises(ValidationError) as refused:
        manifest(
            {"name": "a", "depends_on": ["b"]},
            {"name": "b", "depends_on": ["a"], "builds_on": "c"},
            {"name": "c", "depends_on": ["nobody"]},
            {"name": "c"},
        )
    said = str(refused.value)
    for each in (
        "more than one is called c",
        "c.depends_on: there is no step nobody",
        "b.builds_on: c is not a step that it waits for",
        "a → b → a wait for each other",
    ):
        assert each in said


def test_names_that_repeat_in_a_sequence_are_no_circle() -> None:
    with pytest.raises(ValidationError) as refused:
        manifest({"name": "a"}, {"name": "b"}, {"name": "a"}, order="sequence")
    assert "wait for each other" not in str(refused.value)


def test_where_a_step_begins_is_said_once() -> None:
    with pytest.raises(ValidationError, match=r"task\.base can't say it too"):
        manifest({"name": "a"}, {"name": "b", "depends_on": ["a"], "builds_on": "a", "task": {**TASK, "base": "main"}})


NAMES = "abcdefgh"


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4), max_size=8))
def test_a_circle_is_found_exactly_where_there_is_one(needs: dict[str, list[str]]) -> None:
    circle = circle_find(needs)
    if circle:
        assert circle[0] == circle[-1]
        assert all(after in needs[before] for before, after in itertools.pairwise(circle))
        return
    left = {name: {each for each in waited if each in needs} for name, waited in needs.items()}
    while ready := [name for name, waited in left.items() if not waited]:
        for name in ready:
            del left[name]
        left = {name: waited - set(ready) for name, waited in left.items()}
    assert left == {}
