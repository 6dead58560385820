"""What only a step's machine has: its attempts, checks, changes and output, as one viewer may ask for them.

A page that follows is drawn anew whenever something moved, while every question to a machine counts against the
organization's calls and stands in its audit. So what was answered is kept, for the same viewer with the same rights,
until the step's own feed moves on, or its machine is disabled or shares the repository no longer; then only what can
have changed is asked for. Deliberately in this process alone and bounded: it saves questions, and decides nothing.
Called by `following`. Tests: tests/integration/cloud/relay/test_following.py.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

from cloud.access.principals import Principal
from cloud.connectors.models import Location
from cloud.console import diffs
from cloud.console.remote import RemoteMachine
from cloud.runs.models import RunEvent, StepSnapshot
from local_daemon.protocol import errors, limits, messages, specs
from relay import contents

PATCH_BYTES = 512 * limits.KIB
LOG_BYTES = 32 * limits.KIB
KEPT_MAX = 32
"""Steps whose evidence is kept: a patch as lines takes up to a megabyte or two."""
BEHIND_BYTES_MAX = 8 * LOG_BYTES
"""Who is further behind than this is shown the end: a page shows what is said now."""
WAIT_S = 10.0
_LONG = {"limit": limits.PAGE_ITEMS_MAX}


@dataclass(slots=True, kw_only=True)
class StepEvidence:
    """What the machine says of a step; `refusal` is why it says no more."""

    result: specs.ResultSpec | None = None
    attempts: list[messages.AttemptView] = field(default_factory=list)
    diff: diffs.Diff | None = None
    patch_note: str = ""
    log: messages.LogChunk | None = None
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    moved: tuple[Hashable, ...]
    evidence: StepEvidence


class Shelf:
    """The evidence that was looked at last; what has lain there longest goes first."""

    def __init__(self, most: int = KEPT_MAX) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: Hashable) -> _Kept | None:
        """What is there."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: Hashable, kept: _Kept) -> None:
        """Keep it, in the place of what was there."""
        with self._lock:
            self._kept[key] = kept
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._kept.clear()


shelf = Shelf()
"""That of this process."""


def evidence_of(machine: RemoteMachine, principal: Principal, step: StepSnapshot) -> StepEvidence:
    """All of a step's, as far as its machine says it; asked for only where something happened to the step since."""
    key = (principal.kind, principal.id, principal.scopes, principal.project_ids, step.location_id, step.step_id)
    kept = shelf.find(key)
    # Read before the machine is asked: what happens meanwhile is asked for again.
    moved = (_last_event_id(step), step.seq, *_access_of(step))
    if kept is not None and kept.moved == moved:
        return kept.evidence
    told = _asked(machine, step, kept.evidence if kept is not None else StepEvidence())
    if not told.refusal:
        shelf.put(key, _Kept(moved=moved, evidence=told))
    return told


def tail_of(machine: RemoteMachine, step_id: str, *, attempt_id: str, offset: int) -> messages.LogChunk:
    """What an attempt says after `offset`, held back up to WAIT_S until it says something; without an attempt, the end
    of what the newest has said. Raises every error of the table."""
    named = {"step_id": step_id}
    if not attempt_id:
        return _log_end(machine, named)
    query = {"attempt_id": attempt_id, "offset": offset, "length": LOG_BYTES, "wait_s": WAIT_S}
    chunk = messages.LogChunk.model_validate(machine.ask("steps.log", named, query))
    if chunk.size_bytes - chunk.next_offset <= BEHIND_BYTES_MAX:
        return chunk
    return _log_end(machine, named, attempt_id=attempt_id, size_bytes=chunk.size_bytes)


def _last_event_id(step: StepSnapshot) -> int:
    events = RunEvent.objects.filter(location_id=step.location_id, run_id=step.run_id, step_id=step.step_id)
    return events.order_by("-id").values_list("id", flat=True).first() or 0


def _access_of(step: StepSnapshot) -> tuple[Hashable, ...]:
    """What decides whether its machine may be asked at all."""
    places = Location.objects.filter(id=step.location_id)
    return places.values_list("is_shared", "project_id", "instance__connector__status").first() or ()


def _asked(machine: RemoteMachine, step: StepSnapshot, before: StepEvidence) -> StepEvidence:
    told = StepEvidence()
    named = {"step_id": step.step_id}
    try:
        told.attempts = list(messages.AttemptPage.model_validate(machine.ask("attempts.list", named, _LONG)).items)
        told.result = specs.ResultSpec.model_validate(machine.ask("steps.result", named))
        if told.attempts:
            told.log = before.log if _is_as_before(told, before) else _log_end(machine, named)
        if told.result.patch is not None:
            _read_patch(machine, told, told.result.patch, before)
    except errors.RopewayError as error:
        told.refusal = error.detail
    return told


def _is_as_before(told: StepEvidence, before: StepEvidence) -> bool:
    """Whether the page has this output: all of it, or it goes on from there by itself."""
    newest, log = told.attempts[-1], before.log
    if log is None or log.attempt_id != newest.attempt_id:
        return False
    return log.is_complete or newest.ended_at is None


def _log_end(
    machine: RemoteMachine, named: dict[str, str], *, attempt_id: str = "", size_bytes: int | None = None
) -> messages.LogChunk:
    which: dict[str, str | int] = {"length": LOG_BYTES, **({"attempt_id": attempt_id} if attempt_id else {})}
    if size_bytes is None:
        chunk = messages.LogChunk.model_validate(machine.ask("steps.log", named, which))
        if chunk.size_bytes <= chunk.next_offset:
            return chunk
        size_bytes = chunk.size_bytes
    which["offset"] = max(0, size_bytes - LOG_BYTES)
    return messages.LogChunk.model_validate(machine.ask("steps.log", named, which))


def _read_patch(machine: RemoteMachine, told: StepEvidence, patch: specs.ArtifactView, before: StepEvidence) -> None:
    had = before.result.patch if before.result is not None else None
    if had is not None and had.artifact_id == patch.artifact_id and before.diff is not None:
        # An artifact never changes.
        told.diff, told.patch_note = before.diff, before.patch_note
        return
    answer = machine.ask("artifacts.content", {"artifact_id": patch.artifact_id}, {"length": PATCH_BYTES})
    raw = contents.content_bytes(answer)
    told.diff = diffs.diff_of(diffs.text_of(raw))
    if len(raw) < patch.size_bytes:
        told.patch_note = (
            f"These are its first {len(raw)} of {patch.size_bytes} bytes; download the patch for all of it."
        )
