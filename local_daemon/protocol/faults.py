"""What is wrong with input, field by field, in words that whoever wrote it can act on.

The one place that puts a model's refusal into words: they name the field's path and what it takes, and never repeat
what was sent, which may hold a secret. Called by every surface that takes input. Tests:
tests/unit/daemon/protocol/test_faults.py.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

FAULTS_MAX = 20
"""So many are told; whoever has more begins with these."""

UNKNOWN_FIELD = "is not known here; correct its name or leave it out"
UNKNOWN_FIELD_BEFORE = "Extra inputs are not permitted"
"""How daemons said it that began before there were sentences of ours."""

_LIBRARY_WORDS = (("Input should be", "must be"), ("Input should have", "must have"), ("String should", "must"))

_SENTENCES = MappingProxyType(
    {
        "missing": "is missing",
        "missing_argument": "is missing",
        "extra_forbidden": UNKNOWN_FIELD,
        "string_type": "must be text",
        "int_type": "must be a whole number",
        "int_parsing": "must be a whole number",
        "int_from_float": "must be a whole number",
        "float_type": "must be a number",
        "float_parsing": "must be a number",
        "finite_number": "must be a number that is not infinite",
        "bool_type": "must be true or false",
        "bool_parsing": "must be true or false",
        "list_type": "must be a list",
        "tuple_type": "must be a list",
        "set_type": "must be a list",
        "frozen_set_type": "must be a list",
        "dict_type": "must be an object with named members",
        "mapping_type": "must be an object with named members",
        "model_type": "must be an object with named members",
        "model_attributes_type": "must be an object with named members",
        "none_required": "must be null or left out",
        "enum": "must be {expected}",
        "literal_error": "must be {expected}",
        "greater_than": "must be more than {gt}",
        "greater_than_equal": "must be at least {ge}",
        "less_than": "must be less than {lt}",
        "less_than_equal": "must be at most {le}",
        "string_too_long": "must have at most {max_length} characters",
        "too_long": "must have at most {max_length} items",
        "string_pattern_mismatch": "must be of the form {pattern}",
        "union_tag_not_found": "needs {discriminator}, which says what it is",
        "union_tag_invalid": "{discriminator} must be one of {expected_tags}",
        "value_error": "{error}",
        "assertion_error": "{error}",
    }
)


def field_faults(error: ValidationError) -> list[dict[str, str]]:
    """What the model found, by field, without echoing the input."""
    return [
        {"field": ".".join(map(str, item["loc"])) or "(body)", "problem": _problem(item)}
        for item in error.errors(include_url=False, include_input=False)[:FAULTS_MAX]
    ]


def _problem(item: Mapping[str, Any]) -> str:
    context: Mapping[str, Any] = item.get("ctx", {})
    if (least := _LEAST.get(item["type"])) is not None:
        return least(context["min_length"])
    if (sentence := _SENTENCES.get(item["type"])) is not None:
        return sentence.format_map(context)
    # A kind of fault that no message of ours has had so far.
    message = str(item["msg"])
    for theirs, ours in _LIBRARY_WORDS:
        message = message.replace(theirs, ours)
    return message


def _characters(least: int) -> str:
    return "must not be empty" if least == 1 else f"must have at least {least} characters"


def _items(least: int) -> str:
    return "must not be empty" if least == 1 else f"must have at least {least} items"


_LEAST: Mapping[str, Callable[[int], str]] = MappingProxyType({"string_too_short": _characters, "too_short": _items})
