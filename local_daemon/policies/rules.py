"""What an attempt's changes are allowed to be: the planner's fences, and no secret and no way out unseen.

Pure: the changes and the patch in, one decision out. Deliberately not the gate itself, nor the gates a task asks for
whatever the changes are. Called by the scheduler. Tests: tests/unit/daemon/policies/test_rules.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from local_daemon.policies import fences, links, secrets
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


def changes_judge(
    *,
    task: specs.TaskSpec,
    changes: Sequence[specs.ChangedFile],
    patch: bytes,
    new_links: Sequence[links.Link] = (),
) -> Decision:
    """Judge everything an attempt changed. A rename counts on both ends. Whoever writes through a link that leads out
    writes elsewhere, so a person looks at it first."""
    paths = _paths(changes)
    forbidden = fences.paths_forbidden(paths, forbidden=task.forbidden_paths)
    if forbidden:
        return Fail(detail=f"changed forbidden paths: {_named(forbidden)}")
    outside = fences.paths_outside(paths, allowed=task.allowed_paths)
    if outside:
        return Fail(detail=f"changed paths outside of the allowed ones: {_named(outside)}")
    reasons = []
    if found := secrets.secrets_named(patch):
        reasons.append(f"The changes seem to contain {' and '.join(found)}.")
    if outward := links.links_outward(new_links):
        reasons.append(f"The changes make symbolic links that lead out of the repository: {_named(outward)}.")
    return Gate(reason=" ".join(reasons)) if reasons else Allow()


def _paths(changes: Sequence[specs.ChangedFile]) -> list[str]:
    return [path for change in changes for path in (change.path, change.old_path) if path is not None]


def _named(paths: Sequence[str]) -> str:
    named = ", ".join(paths[:_PATHS_NAMED])
    return named if len(paths) <= _PATHS_NAMED else f"{named} and {len(paths) - _PATHS_NAMED} more"
