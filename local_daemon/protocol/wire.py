"""What every message of the wire shares: strictness, canonical JSON and digests.

Deliberately free of any noun. `specs`, `messages`, `events` and `envelopes` build on it.
Tests: tests/unit/daemon/protocol/test_wire.py.
"""

import hashlib
import json
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints

from local_daemon.protocol import limits


class WireModel(BaseModel):
    """A message other processes send us: unknown fields are refused, nothing is changed after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_enum_values=False)


class ViewModel(BaseModel):
    """A message we are answered with: unknown fields of a newer version are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def canonical_json(value: Any) -> bytes:
    """The one byte form of a JSON value that digests are taken of: sorted keys, no spaces, UTF-8.
    Raises ValueError for NaN and infinities, which have no JSON form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", errors="surrogatepass")


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
        return text

    return AfterValidator(check)


def _printable(text: str) -> str:
    if any(not character.isprintable() for character in text):
        raise ValueError("contains a control character")
    return text


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
GitCommit = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=limits.TITLE_CHARACTERS), AfterValidator(_printable)]
Text = Annotated[str, _within_bytes(limits.TEXT_BYTES)]
Goal = Annotated[str, StringConstraints(min_length=1), _within_bytes(limits.GOAL_BYTES)]
PatchText = Annotated[str, StringConstraints(min_length=1), _within_bytes(limits.PATCH_BYTES)]
Instant = Annotated[datetime, AwareDatetime]
