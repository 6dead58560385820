"""What an attempt's changes are allowed to be: the planner's fences, and no secret without a person's eye.

Pure: the changes and the patch in, one decision out. Deliberately not the gate itself, nor the gates a task asks for
whatever the changes are. Called by the scheduler. Tests: tests/unit/daemon/policies/test_rules.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from local_daemon.policies import fences, secrets
from local_daemon.protocol import specs

_PATHS_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """Nothing speaks against the changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A person or planner has to look first."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """The changes break a rule of their task."""

    detail: str


Decision = Allow | Gate | Fail


def changes_judge(*, task: specs.TaskSpec, changes: Sequence[specs.ChangedFile], patch: bytes) -> Decision:
    """Judge everything an attempt changed. A rename counts on both ends."""
    paths = _paths(changes)
    forbidden = fences.paths_forbidden(paths, forbidden=task.forbidden_paths)
    if forbidden:
        return Fail(detail=f"changed forbidden paths: {_named(forbidden)}")
    outside = fences.paths_outside(paths, allowed=task.allowed_paths)
    if outside:
        return Fail(detail=f"changed paths outside of the allowed ones: {_named(outside)}")
    found = secrets.secrets_named(patch)
    if found:
        return Gate(reason=f"The changes seem to contain {' and '.join(found)}.")
    return Allow()


def _paths(changes: Sequence[specs.ChangedFile]) -> list[str]:
    return [path for change in changes for path in (change.path, change.old_path) if path is not None]


def _named(paths: Sequence[str]) -> str:
    named = ", ".join(paths[:_PATHS_NAMED])
    return named if len(paths) <= _PATHS_NAMED else f"{named} and {len(paths) - _PATHS_NAMED} more"
