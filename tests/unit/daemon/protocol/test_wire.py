"""Which JSON is taken from outside, and that no number, name or text passes for another."""

import enum
import json
import re
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from local_daemon.protocol import enrollment, envelopes, events, limits, messages, specs, wire

TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_any_json_comes_through_as_it_was(value: Any) -> None:
    assert wire.json_read(json.dumps(value).encode()) == value
    assert wire.json_read(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\u0d8c1e-+.naNtrufls', max_size=60).map(str.encode))
def test_whatever_the_bytes_are_reading_them_ends_in_a_value_or_in_a_refusal(content: bytes) -> None:
    try:
        value = wire.json_read(content)
    except ValueError:
        return
    assert wire.json_read(wire.canonical_json(value)) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1, "a": 1}', "repeated"),
        ('[{"a": {"b": 1, "b": 2}}]', "repeated"),
        ('{"a": 1, "\\u0061": 2}', "repeated"),
        ('{"a": "\\u0000"}', "NUL"),
        ('{"\\u0000": 1}', "NUL"),
        ('{"a": ["\\ud800"]}', "surrogate"),
        ('{"\\udfff": 1}', "surrogate"),
        ("NaN", "NaN"),
        ('{"a": -Infinity}', "Infinity"),
        ("1e999", "not finite"),
        (str(2**63), "64 bits"),
        ("9" * 400, "64 bits"),
        ("9" * 10_000, "valid|64 bits|digits"),
        ("[" * (limits.JSON_DEPTH + 1) + "]" * (limits.JSON_DEPTH + 1), "nested"),
        ("[" * 100_000, "nested"),
        ('{"a":' * 100_000, "nested"),
        ("[" + "0," * limits.JSON_VALUES + "0]", "more than"),
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
        ("{'a': 1}", "not valid JSON"),
        ("[1,]", "not valid JSON"),
        ('"\n"', "not valid JSON"),
        ("\ufeff{}", "not valid JSON"),
    ],
)
def test_what_is_no_json_of_ours_is_refused_with_its_reason(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        wire.json_read(text.encode())


def test_bytes_that_are_no_utf_8_are_refused() -> None:
    with pytest.raises(ValueError, match="UTF-8"):
        wire.json_read(b'"\xff"')


def test_a_refusal_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(ValueError, match="not valid JSON") as refused:
        wire.json_read(b'{"password": hunter2}')
    assert "hunter2" not in str(refused.value)


def test_a_pair_of_surrogates_is_one_character_and_an_escaped_backslash_no_escape() -> None:
    assert wire.json_read(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"
    assert wire.json_read(b'"\\\\u0000"') == "\\u0000"


@pytest.mark.parametrize("params", [{"\ud800": 1}, {"a": "\x00"}, {"a": [float("nan")]}, {"a": {"b": 2**64}}])
def test_what_json_text_may_not_hold_no_task_holds_however_it_came(params: dict[str, Any]) -> None:
    """A tool call arrives as members, not as text."""
    with pytest.raises(ValidationError):
        specs.TaskSpec.model_validate({"goal": "g", "executor": "x", "params": params})


def _members() -> Iterator[Any]:
    for module in (specs, messages, envelopes, events, enrollment):
        for model in vars(module).values():
            if isinstance(model, type) and issubclass(model, BaseModel) and model.__module__ == module.__name__:
                for name, field in model.model_fields.items():
                    annotation = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
                    yield pytest.param(annotation, id=f"{model.__name__}.{name}")


def _kinds(annotation: Any) -> set[type]:
    """The plain types that a member can be of."""
    if typing.get_origin(annotation) is Annotated:
        return _kinds(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return set().union(*map(_kinds, typing.get_args(annotation)))
    return {annotation} if isinstance(annotation, type) and not issubclass(annotation, enum.Enum) else set()


NUMBERS = [member for member in _members() if _kinds(member.values[0]) & {int, float}]
FLAGS = [member for member in _members() if bool in _kinds(member.values[0])]


@pytest.mark.parametrize("annotation", NUMBERS)
def test_true_is_no_number(annotation: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(annotation).validate_python(True)


@pytest.mark.parametrize("annotation", [member for member in NUMBERS if "Query" not in (member.id or "")])
def test_a_text_is_no_number(annotation: Any) -> None:
    for text in ("5", "5.0", "true"):
        with pytest.raises(ValidationError):
            TypeAdapter(annotation).validate_python(text)


@pytest.mark.parametrize("annotation", FLAGS)
def test_neither_a_number_nor_a_text_is_a_flag(annotation: Any) -> None:
    for value in (0, 1, 1.0, "true", "yes"):
        with pytest.raises(ValidationError):
            TypeAdapter(annotation).validate_python(value)


@given(st.text(max_size=8) | st.from_regex(re.compile(r"-?[0-9_. ]{1,8}"), fullmatch=True))
def test_a_number_in_a_query_is_digits_and_nothing_else(text: str) -> None:
    try:
        read = TypeAdapter(wire.QueryInteger).validate_strings(text)
    except ValidationError:
        assert not re.fullmatch(r"-?[0-9]{1,19}", text)
    else:
        assert read == int(text)
        assert re.fullmatch(r"-?[0-9]+", text)


@pytest.mark.parametrize("text", ["nan", "inf", "1e3", "1_0", " 5", "٣", "0x1"])
def test_a_wait_takes_seconds_that_exist(text: str) -> None:
    with pytest.raises(ValidationError):
        messages.WaitQuery.model_validate_strings({"timeout_s": text})
