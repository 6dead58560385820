"""What every message of the wire shares: what JSON is taken, strictness, canonical JSON and digests.

The one place that says which JSON is taken from outside: surfaces read bytes with `json_read`, and members that may
hold anything are of type `JsonObject`. Deliberately free of any noun: `specs`, `messages`, `events` and `envelopes`
build on it. Tests: tests/unit/daemon/protocol/test_wire.py.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, NoReturn

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
)

from local_daemon.protocol import limits


class WireModel(BaseModel):
    """A message other processes send us: unknown fields are refused, nothing is changed after parsing."""

    # Built when first used: no process uses them all, and each would build them all when it starts.
    model_config = ConfigDict(extra="forbid", frozen=True, use_enum_values=False, defer_build=True)


class ViewModel(BaseModel):
    """A message we are answered with: unknown fields of a newer version are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,19}")
_DECIMAL_NUMBER = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,19})?")


def json_read(content: bytes) -> Any:
    """The value of a JSON text that came from outside. Raises ValueError, its message fit to be shown, for what is not
    JSON, names a member twice, or is not `storable`."""
    return storable(json_parse(content))


def json_parse(content: bytes) -> Any:
    """As `json_read`, for who hands parts of it on to readers who refuse, in their own words, what is not `storable`.
    Raises ValueError for what is not JSON, or not the same JSON to everybody."""
    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=_without_repeats, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except RecursionError:
        raise ValueError(f"nested deeper than {limits.JSON_DEPTH}") from None
    except json.JSONDecodeError as error:
        # Without the text around it: that may be a secret.
        raise ValueError(f"not valid JSON: {error.msg} at character {error.pos}") from None


def storable(value: Any) -> Any:
    """The same JSON value, if every database and every reader can carry it. Raises ValueError for NUL characters and
    half surrogate pairs (names included), infinite numbers, integers over 64 bits, and what is too deep or too much."""
    seen, depth, level = 0, 0, [value]
    while level:
        seen, depth = seen + len(level), depth + 1
        if depth > limits.JSON_DEPTH:
            raise ValueError(f"nested deeper than {limits.JSON_DEPTH}")
        if seen > limits.JSON_VALUES:
            raise ValueError(f"more than {limits.JSON_VALUES} values")
        level = [inner for item in level for inner in _checked(item)]
    return value


def _checked(item: Any) -> Iterator[Any]:
    """The values right inside of a value that is itself well."""
    if isinstance(item, str):
        if _NOT_STORABLE.search(item):
            raise ValueError("a text holds a NUL character or half a surrogate pair")
    elif isinstance(item, dict):
        yield from item
        yield from item.values()
    elif isinstance(item, list | tuple):
        yield from item
    elif isinstance(item, float):
        if not math.isfinite(item):
            raise ValueError("a number is not finite")
    elif isinstance(item, int) and not -(2**63) <= item < 2**63:
        raise ValueError("an integer has more than 64 bits")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name is repeated in an object")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def canonical_json(value: Any) -> bytes:
    """The one byte form of a JSON value that digests are taken of: sorted keys, no spaces, UTF-8.
    Raises ValueError for NaN and infinities, which have no JSON form."""
    return _CANONICAL.encode(value).encode("utf-8", errors="surrogatepass")


def sha256_hex(content: bytes) -> str:
    """The lowercase hexadecimal SHA-256 of the bytes."""
    return hashlib.sha256(content).hexdigest()


def body_digest(value: Any) -> str:
    """The SHA-256 of a JSON value's canonical form: what an idempotency key is bound to."""
    return sha256_hex(canonical_json(value))


def _within_bytes(limit: int) -> AfterValidator:
    def check(text: str) -> str:
        if len(text.encode("utf-8", errors="surrogatepass")) > limit:
            raise ValueError(f"longer than {limit} bytes")
        if "\x00" in text:
            raise ValueError("contains a NUL character")
        if _NOT_STORABLE.search(text):
            # As a name of a file is read that no text stands for.
            raise ValueError("contains what is no text in UTF-8")
        return text

    return AfterValidator(check)


def _written_as(pattern: re.Pattern[str]) -> BeforeValidator:
    def check(value: Any) -> Any:
        if isinstance(value, bool) or (isinstance(value, str) and not pattern.fullmatch(value)):
            raise ValueError("must be a number")
        return value

    return BeforeValidator(check)


def _printable(text: str) -> str:
    if any(not character.isprintable() for character in text):
        raise ValueError("contains a control character")
    return text


Integer = Annotated[int, Strict()]
"""A whole number, and nothing that only looks like one: `true` and `"5"` are refused."""
Position = Annotated[Integer, Field(ge=0, le=limits.SEQ_MAX)]
"""A place in a log or in a content."""
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Flag = Annotated[bool, Strict()]
QueryInteger = Annotated[int, _written_as(_WHOLE_NUMBER)]
"""A whole number in a query string, where everything is text."""
QueryNumber = Annotated[float, _written_as(_DECIMAL_NUMBER), Field(allow_inf_nan=False)]
JsonObject = Annotated[dict[str, Any], AfterValidator(storable)]
"""Members of any name and kind, as far as JSON goes everywhere."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=limits.TITLE_CHARACTERS), AfterValidator(_printable)]
Text = Annotated[str, _within_bytes(limits.TEXT_BYTES)]
Goal = Annotated[str, StringConstraints(min_length=1), _within_bytes(limits.GOAL_BYTES)]
PatchText = Annotated[str, StringConstraints(min_length=1), _within_bytes(limits.PATCH_BYTES)]
Instant = Annotated[datetime, AwareDatetime]
