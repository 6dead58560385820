"""What must hold of a daemon's record whatever killed it, and when: read from outside, beside git and the disk.

the chain       every event is there, in order and unchanged, and ends at the head
the lives       every step and attempt moved as its lifecycle allows, and is now where its last event says; what had
                ended moved on only by a person's word
the starts      no executor was started twice for one attempt
the edits       what an attempt recorded is under its ref in git, and its patch is on the disk as it was signed
"""

import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from local_daemon.artifacts import selectors as artifacts
from local_daemon.artifacts.records import ArtifactKind
from local_daemon.artifacts.store import BlobStore
from local_daemon.attempts import lifecycle as attempt_lifecycle
from local_daemon.attempts import selectors as attempts
from local_daemon.protocol import states
from local_daemon.protocol.events import EventRecord, EventType
from local_daemon.repositories import selectors as repositories
from local_daemon.repositories.records import Repository
from local_daemon.steps import lifecycle as step_lifecycle
from local_daemon.steps import selectors as steps
from local_daemon.storage import database, event_log

_STEP_MOVES = {(str(before), str(after)) for (before, _), after in step_lifecycle.TRANSITIONS.items()}
_ATTEMPT_MOVES = {(str(before), str(after)) for (before, _), after in attempt_lifecycle.TRANSITIONS.items()}
_ENDED = {str(state) for state in states.STEP_TERMINAL}


def truth_check(home: Path, *, starts: Path, retried: bool = True) -> None:
    """Raises AssertionError for what does not hold. Where nobody `retried` anything, what has ended stays so."""
    allowed = _STEP_MOVES if retried else {move for move in _STEP_MOVES if move[0] not in _ENDED}
    connection = database.reader_open(home / "record.sqlite3")
    try:
        # Everything as of one moment: its daemon may be at work.
        connection.execute("BEGIN")
        for repository in repositories.repositories_list(connection):
            report = event_log.log_verify(connection, repository.repository_id)
            assert report.holds, report
            _lives_check(connection, repository, allowed)
            _edits_check(connection, repository, BlobStore(home / "artifacts"))
    finally:
        connection.close()
    if starts.exists():
        twice = {attempt: count for attempt, count in Counter(starts.read_text().split()).items() if count > 1}
        assert not twice, f"started more than once: {twice}"


def _lives_check(conn: database.Connection, repository: Repository, allowed: set[tuple[str, str]]) -> None:
    moved_steps: dict[str, list[str]] = {}
    moved_attempts: dict[str, list[str]] = {}
    for event in _events(conn, repository):
        if event.type in (EventType.STEP_CREATED, EventType.STEP_CHANGED):
            step = event.data["step"]
            _follow(moved_steps, step["step_id"], step["state"], allowed)
        elif event.type == EventType.ATTEMPT_CHANGED:
            attempt = event.data["attempt"]
            _follow(moved_attempts, attempt["attempt_id"], attempt["state"], _ATTEMPT_MOVES)
    for step_id, states_seen in moved_steps.items():
        assert steps.step_load(conn, step_id).state == states_seen[-1], f"{step_id} was told as {states_seen[-1]}"
    for attempt_id, states_seen in moved_attempts.items():
        assert attempts.attempt_get(conn, attempt_id).state == states_seen[-1], f"{attempt_id}: {states_seen}"


def _follow(moved: dict[str, list[str]], who: str, state: str, allowed: set[tuple[str, str]]) -> None:
    seen = moved.setdefault(who, [])
    if seen and seen[-1] != state:
        assert (seen[-1], state) in allowed, f"{who} went from {seen[-1]} to {state}"
    seen.append(state)


def _events(conn: database.Connection, repository: Repository) -> Iterator[EventRecord]:
    after = 0
    while page := event_log.events_after(conn, repository.repository_id, after, 500):
        yield from page
        after = page[-1].seq


def _edits_check(conn: database.Connection, repository: Repository, blobs: BlobStore) -> None:
    rows = conn.execute(
        "SELECT attempt_id FROM attempts WHERE repository_id = ? AND state = 'recorded'", (repository.repository_id,)
    )
    for row in rows.fetchall():
        attempt = attempts.attempt_get(conn, row["attempt_id"])
        if attempt.ref is None:
            kept = [each for each in artifacts.artifacts_of_attempt(conn, attempt.attempt_id) if not each.expired_at]
            assert {each.kind for each in kept} <= {ArtifactKind.MANIFEST}, f"{attempt.attempt_id}: its ref is gone"
            continue
        assert _git(repository, "rev-parse", attempt.ref) == attempt.head_commit, f"{attempt.attempt_id}: its ref"
        patch = artifacts.artifact_of_kind(conn, attempt.attempt_id, ArtifactKind.PATCH)
        if patch is not None:
            assert patch.sha256 == attempt.patch_sha256
            assert blobs.blob_is_intact(patch.sha256), f"{attempt.attempt_id}: its patch"


def _git(repository: Repository, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=repository.git_root, capture_output=True, text=True, check=True)
    return done.stdout.strip()
