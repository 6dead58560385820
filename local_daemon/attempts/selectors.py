"""Reads of attempts, and their view.

Called by operation handlers, the scheduler and recovery. Tests: tests/unit/daemon/attempts/test_services.py.
"""

import json
from collections.abc import Sequence

from local_daemon.attempts.records import Attempt
from local_daemon.protocol import errors, ids, messages, specs, states
from local_daemon.storage import instants, pages
from local_daemon.storage.database import Connection, Row

_SELECT = "SELECT * FROM attempts "
_NEWEST = """
    SELECT attempts.* FROM json_each(?) JOIN attempts ON attempts.step_id = json_each.value
        AND attempts.number = (SELECT max(number) FROM attempts AS of_step WHERE of_step.step_id = json_each.value)
    ORDER BY json_each.key
"""


def attempt_find(conn: Connection, attempt_id: str) -> Attempt | None:
    """The attempt, if there is one with this id."""
    return _one(conn.execute(_SELECT + "WHERE attempt_id = ?", (attempt_id,)).fetchone())


def attempt_get(conn: Connection, attempt_id: str) -> Attempt:
    """The attempt. Raises NotFound."""
    attempt = attempt_find(conn, attempt_id)
    if attempt is None:
        raise errors.NotFound("No such attempt.", attempt_id=attempt_id)
    return attempt


def attempt_newest(conn: Connection, step_id: str) -> Attempt | None:
    """The step's newest attempt; None before the first."""
    return _one(conn.execute(_SELECT + "WHERE step_id = ? ORDER BY number DESC LIMIT 1", (step_id,)).fetchone())


def attempts_newest(conn: Connection, step_ids: Sequence[ids.StepId]) -> tuple[Attempt, ...]:
    """The newest attempt of each of these steps that has one, in their order."""
    return tuple(_read(row) for row in conn.execute(_NEWEST, (json.dumps(list(step_ids)),)))


def attempts_list(conn: Connection, step_id: str) -> tuple[Attempt, ...]:
    """Every attempt of the step, oldest first."""
    return tuple(_read(row) for row in conn.execute(_SELECT + "WHERE step_id = ? ORDER BY number", (step_id,)))


def attempts_page(
    conn: Connection, step_id: str, *, limit: int, cursor: str | None
) -> tuple[tuple[Attempt, ...], str | None]:
    """A page of the step's attempts, oldest first, and the cursor of the next. Raises InvalidRequest for a cursor not
    ours."""
    where = "WHERE step_id = ? AND number > ? ORDER BY number LIMIT ?"
    rows = conn.execute(_SELECT + where, (step_id, pages.after_position(cursor), limit + 1))
    return pages.page_cut([_read(row) for row in rows], limit=limit)


def bases_recent(conn: Connection, repository_id: str, *, limit: int) -> tuple[tuple[str, str | None], ...]:
    """Of up to `limit` attempts of the repository, newest first: the commit that each began with, and the reference to
    its changes, if it has one."""
    rows = conn.execute(
        "SELECT base_commit, ref FROM attempts "
        "WHERE repository_id = ? AND base_commit IS NOT NULL ORDER BY leased_at DESC LIMIT ?",
        (repository_id, limit),
    )
    return tuple((row["base_commit"], row["ref"]) for row in rows)


def attempt_view(attempt: Attempt) -> messages.AttemptView:
    """The attempt without its process, which means nothing to another machine."""
    return messages.AttemptView(
        attempt_id=attempt.attempt_id,
        step_id=attempt.step_id,
        number=attempt.number,
        state=attempt.state,
        executor=attempt.executor,
        exit_code=attempt.exit_code,
        failure=attempt.failure,
        summary=attempt.summary,
        base_commit=attempt.base_commit,
        uncommitted=attempt.uncommitted,
        head_commit=attempt.head_commit,
        ref=attempt.ref,
        thread_id=attempt.thread_id,
        usage=attempt.usage,
        leased_at=attempt.leased_at,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
    )


def _one(row: Row | None) -> Attempt | None:
    return None if row is None else _read(row)


def _read(row: Row) -> Attempt:
    return Attempt(
        attempt_id=row["attempt_id"],
        step_id=row["step_id"],
        run_id=row["run_id"],
        repository_id=row["repository_id"],
        number=row["number"],
        state=states.AttemptState(row["state"]),
        executor=row["executor"],
        executor_version=row["executor_version"],
        epoch=row["epoch"],
        pid=row["pid"],
        process_start=row["process_start"],
        boot_id=row["boot_id"],
        exit_code=row["exit_code"],
        signal=row["signal"],
        base_commit=row["base_commit"],
        head_commit=row["head_commit"],
        ref=row["ref"],
        patch_artifact_id=row["patch_artifact_id"],
        patch_sha256=row["patch_sha256"],
        changes=tuple(specs.ChangedFile(**change) for change in json.loads(row["changes"])),
        changes_total=row["changes_total"],
        uncommitted=_uncommitted(row["uncommitted"]),
        summary=row["summary"],
        failure=None if row["failure"] is None else specs.Failure.model_validate_json(row["failure"]),
        usage=specs.Usage.model_validate_json(row["usage"]),
        thread_id=row["thread_id"],
        warnings=tuple(json.loads(row["warnings"])),
        question=row["question"],
        leased_at=instants.instant_read(row["leased_at"]),
        started_at=instants.optional_read(row["started_at"]),
        exited_at=instants.optional_read(row["exited_at"]),
        ended_at=instants.optional_read(row["ended_at"]),
    )


def _uncommitted(text: str | None) -> specs.Uncommitted | None:
    return None if text is None else specs.Uncommitted.model_validate_json(text)
