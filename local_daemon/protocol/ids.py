"""Identifiers: what they look like and how new ones are made.

Records of a machine carry `<prefix>_<ULID>`: sortable by creation, readable in a log, safe in a path, a ref and a URL
without quoting. Rows of the cloud carry UUIDv7. This module deliberately knows nothing of what an id points at.
Tests: tests/unit/daemon/protocol/test_ids.py.
"""

import re
import secrets
import time
import uuid
from enum import StrEnum
from typing import NewType

RepositoryId = NewType("RepositoryId", str)
InstanceId = NewType("InstanceId", str)
RunId = NewType("RunId", str)
StepId = NewType("StepId", str)
AttemptId = NewType("AttemptId", str)
GateId = NewType("GateId", str)
ValidationId = NewType("ValidationId", str)
ArtifactId = NewType("ArtifactId", str)
CallId = NewType("CallId", str)
ApplicationId = NewType("ApplicationId", str)
ConversationId = NewType("ConversationId", str)
LogId = NewType("LogId", str)

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_ULID_CHARACTERS = 26
_RANDOM_BITS = 80
_ULID_PATTERN = r"[0-7][0-9a-hjkmnp-tv-z]{25}"

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""What a planner may name a run or a step: no slash, no space, nothing a shell or a path would read."""


class IdPrefix(StrEnum):
    """The noun an id belongs to."""

    REPOSITORY = "repo"  # a repository known to a daemon
    INSTANCE = "inst"  # one daemon
    RUN = "run"  # one objective
    STEP = "step"  # one unit of work
    ATTEMPT = "att"  # one try of a step
    GATE = "gate"  # a pause for a decision
    VALIDATION = "val"  # a check command and its verdict
    ARTIFACT = "art"  # immutable evidence
    APPLICATION = "app"  # a result on its way onto a branch
    CONVERSATION = "conv"  # a talk with one executor
    CALL = "call"  # one remote operation call
    LOG = "log"  # one life of an event log


def ulid(*, now_ms: int, randomness: int) -> str:
    """The 26 lowercase Crockford characters for `now_ms` (milliseconds since 1970) and 80 random bits."""
    value = (now_ms << _RANDOM_BITS) | randomness
    characters = []
    for _ in range(_ULID_CHARACTERS):
        characters.append(_CROCKFORD[value & 31])
        value >>= 5
    return "".join(reversed(characters))


def new_id(prefix: IdPrefix) -> str:
    """A fresh identifier for the noun; callers wrap it in that noun's type."""
    return f"{prefix}_{ulid(now_ms=time.time_ns() // 1_000_000, randomness=secrets.randbits(_RANDOM_BITS))}"


def pattern_for(prefix: IdPrefix) -> str:
    """The anchored regular expression an id of the noun matches; used by wire models and path parsing."""
    return rf"^{prefix}_{_ULID_PATTERN}$"


BEGINNING_PATTERN = r"^[0-7][0-9a-hjkmnp-tv-z]{3,25}$"
"""How an id may begin after its noun: enough characters to be typed for one, and not by chance."""

_COMPILED = {prefix: re.compile(pattern_for(prefix)) for prefix in IdPrefix}


def is_id(prefix: IdPrefix, value: str) -> bool:
    """Whether `value` is a well-formed id of the noun; says nothing about whether it exists."""
    return _COMPILED[prefix].fullmatch(value) is not None


def call_id_from(digest: bytes) -> CallId:
    """The call that the first 16 bytes of a digest name: always the same one."""
    value = int.from_bytes(digest[:16], "big")
    ended = ulid(now_ms=value >> _RANDOM_BITS, randomness=value & ((1 << _RANDOM_BITS) - 1))
    return CallId(f"{IdPrefix.CALL}_{ended}")


def new_uuid7() -> uuid.UUID:
    """A UUID for rows of the cloud that sorts after those its caller made before: pages and exports sort by it alone.

    Source: RFC 9562, section 5.7 and, for the order within a millisecond, section 6.2, method 3: twelve bits of its
    fraction, a quarter of a microsecond, are less than making one takes.
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    value = (milliseconds & ((1 << 48) - 1)) << 80
    value |= 0x7 << 76
    value |= (nanoseconds << 12) // 1_000_000 << 64
    value |= 0b10 << 62
    value |= secrets.randbits(62)
    return uuid.UUID(int=value)
