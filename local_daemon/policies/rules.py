"""What an attempt's changes are allowed to be: the planner's fences, everybody's policies, no secret and no way out
unseen.

Pure: the changes and the patch in, one decision out; of several policies the strictest word wins. Deliberately not the
gate itself, nor the gates a task asks for whatever the changes are. Called by the scheduler.
Tests: tests/unit/daemon/policies/test_rules.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from local_daemon.policies import fences, kinds, links, secrets
from local_daemon.protocol import specs
from local_daemon.protocol.policies import Policy, Reaction, Threshold

_PATHS_NAMED = 5
_PIECE_BYTES = 256 * 1024
_SEVERITY = tuple(Reaction)
RULES_FOLDER = ".ropeway"
"""Where a repository's own rules stand; whoever changes them is looked at."""


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


def strictest(reactions: Sequence[Reaction | None], *, default: Reaction = Reaction.ALLOW) -> Reaction:
    """The strictest of these; `default` where none says anything."""
    said = [reaction for reaction in reactions if reaction is not None]
    return max(said, key=_SEVERITY.index) if said else default


def changes_judge(
    *,
    task: specs.TaskSpec,
    changes: Sequence[specs.ChangedFile],
    patch: bytes,
    new_links: Sequence[links.Link] = (),
    policies: Sequence[Policy] = (),
    known_secrets: Mapping[str, str] = MappingProxyType({}),
) -> Decision:
    """Judge everything an attempt changed, by the task's own policy and by `policies`. A rename counts on both ends.
    Of `known_secrets` (name to value) none may stand in the patch; its name is said, never the value. Whoever writes
    through a link that leads out writes elsewhere, so a person looks at it first."""
    seen = _secrets_seen(patch, known_secrets)
    found = [
        *_fences(task, _paths(changes)),
        *(hit for policy in (task.policy, *policies) for hit in _hits(policy, changes, seen, new_links)),
    ]
    failed = [text for reaction, text in found if reaction is Reaction.FAIL]
    if failed:
        return Fail(detail="; ".join(dict.fromkeys(failed)))
    gated = [text for reaction, text in found if reaction is Reaction.GATE]
    if gated:
        return Gate(reason="The changes need a look: " + "; ".join(dict.fromkeys(gated)) + ".")
    return Allow()


def _secrets_seen(patch: bytes, known: Mapping[str, str]) -> list[str]:
    """What is said of the secrets that seem to stand in the patch. Piece by piece: while one search goes through all of
    a long patch, nothing else of the process moves."""
    named: set[str] = set()
    held: set[str] = set()
    for piece in _pieces(patch):
        named.update(secrets.secrets_named(piece))
        held.update(secrets.secrets_known(piece, known))
    return [*(name for name in secrets.NAMES if name in named), *sorted(held)]


def _pieces(patch: bytes) -> Iterator[bytes]:
    """The patch cut at line ends: no secret that is looked for goes over one."""
    start = 0
    while start < len(patch):
        end = patch.find(b"\n", start + _PIECE_BYTES)
        end = len(patch) if end < 0 else end + 1
        yield patch[start:end]
        start = end


def _fences(task: specs.TaskSpec, paths: Sequence[str]) -> Iterator[tuple[Reaction, str]]:
    forbidden = fences.paths_forbidden(paths, forbidden=task.forbidden_paths)
    if forbidden:
        yield Reaction.FAIL, f"changed forbidden paths: {_named(forbidden)}"
    outside = fences.paths_outside(paths, allowed=task.allowed_paths)
    if outside:
        yield Reaction.FAIL, f"changed paths outside of the allowed ones: {_named(outside)}"


def _hits(
    policy: Policy, changes: Sequence[specs.ChangedFile], secrets_seen: Sequence[str], new_links: Sequence[links.Link]
) -> Iterator[tuple[Reaction, str]]:
    """Each rule of the policy that applies, with what is said of it."""
    paths = _paths(changes)
    for rule in policy.paths:
        if meant := fences.paths_forbidden(paths, forbidden=rule.patterns):
            yield rule.then, f"guarded paths were changed: {_named(meant)}"
    if own := [path for path in paths if path.split("/", 1)[0] == RULES_FOLDER]:
        yield policy.rules, f"the repository's own rules were changed: {_named(own)}"
    if named := kinds.dependencies_named(paths):
        yield policy.dependencies, f"dependencies were changed: {_named(named)}"
    if named := kinds.migrations_named(paths):
        yield policy.migrations, f"migrations were changed: {_named(named)}"
    lines = sum((change.additions or 0) + (change.deletions or 0) for change in changes)
    gone = sum(1 for change in changes if change.status in ("D", "R"))
    yield from _over(policy.changed_files, len(changes), "file", "changed")
    yield from _over(policy.changed_lines, lines, "line", "changed")
    yield from _over(policy.deletions, gone, "file", "deleted or moved away")
    if secrets_seen:
        yield policy.secrets, f"they seem to contain {' and '.join(secrets_seen)}"
    if outward := links.links_outward(new_links):
        yield policy.links, f"symbolic links lead out of the repository: {_named(outward)}"


def _over(threshold: Threshold | None, count: int, noun: str, became: str) -> Iterator[tuple[Reaction, str]]:
    if threshold is not None and count > threshold.over:
        counted = f"1 {noun} was" if count == 1 else f"{count} {noun}s were"
        yield threshold.then, f"{counted} {became}, more than {threshold.over}"


def _paths(changes: Sequence[specs.ChangedFile]) -> list[str]:
    return [path for change in changes for path in (change.path, change.old_path) if path is not None]


def _named(paths: Sequence[str]) -> str:
    named = ", ".join(paths[:_PATHS_NAMED])
    return named if len(paths) <= _PATHS_NAMED else f"{named} and {len(paths) - _PATHS_NAMED} more"
