"""What an examination of an installation finds, thing by thing. Pure. Made by `diagnosis` and `cloudctl doctor`.

Tests: tests/integration/cloud/health/test_diagnosis.py.
"""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"  # as it should be
    WARN = "warn"  # works, but somebody should look
    FAIL = "fail"  # does not work, or is not safe


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at; `next_step` is empty where all is well."""

    name: str
    level: Level
    detail: str
    next_step: str = ""
