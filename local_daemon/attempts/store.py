"""The SQL of attempts. Called by `services` and `selectors` only.

Tests: tests/unit/daemon/attempts/.
"""

import json
from collections.abc import Sequence

from local_daemon.attempts.records import Attempt
from local_daemon.protocol import errors, specs, states
from local_daemon.storage import instants
from local_daemon.storage.database import Connection, Row
from local_daemon.storage.transaction import Transaction, Value

_SELECT = "SELECT * FROM attempts "
_NEWEST = """
    SELECT attempts.* FROM json_each(?) JOIN attempts ON attempts.step_id = json_each.value
        AND attempts.number = (SELECT max(number) FROM attempts AS of_step WHERE of_step.step_id = json_each.value)
    ORDER BY json_each.key
"""
_INSERT = """
    INSERT INTO attempts (
        attempt_id, step_id, run_id, repository_id, number, state, executor, executor_version, epoch, pid,
        process_start, boot_id, exit_code, signal, base_commit, head_commit, ref, patch_artifact_id, patch_sha256,
        changes, changes_total, summary, failure, usage, thread_id, warnings, question, leased_at, started_at,
        exited_at, ended_at, uncommitted
    ) VALUES (
        :attempt_id, :step_id, :run_id, :repository_id, :number, :state, :executor, :executor_version, :epoch, :pid,
        :process_start, :boot_id, :exit_code, :signal, :base_commit, :head_commit, :ref, :patch_artifact_id,
        :patch_sha256, :changes, :changes_total, :summary, :failure, :usage, :thread_id, :warnings, :question,
        :leased_at, :started_at, :exited_at, :ended_at, :uncommitted
    )
"""
_UPDATE = """
    UPDATE attempts SET
        state = :state, executor_version = :executor_version, pid = :pid, process_start = :process_start,
        boot_id = :boot_id, exit_code = :exit_code, signal = :signal, base_commit = :base_commit,
        head_commit = :head_commit, ref = :ref, patch_artifact_id = :patch_artifact_id, patch_sha256 = :patch_sha256,
        changes = :changes, changes_total = :changes_total, summary = :summary, failure = :failure, usage = :usage,
        thread_id = :thread_id, warnings = :warnings, question = :question, started_at = :started_at,
        exited_at = :exited_at, ended_at = :ended_at, uncommitted = :uncommitted
    WHERE attempt_id = :attempt_id AND state = :expected AND epoch = :epoch
"""


def epoch_next(tx: Transaction) -> int:
    """Count one more life of the daemon."""
    row = tx.execute("UPDATE daemon SET epoch = epoch + 1 RETURNING epoch").fetchone()
    return int(row["epoch"])


def epoch_take_over(tx: Transaction, step_ids: Sequence[str], *, epoch: int) -> None:
    """Put the attempts of these steps under this life of the daemon."""
    tx.execute(
        "UPDATE attempts SET epoch = ? WHERE step_id IN (SELECT value FROM json_each(?)) AND state <> 'abandoned'",
        (epoch, json.dumps(list(step_ids))),
    )


def attempt_insert(tx: Transaction, attempt: Attempt) -> None:
    """Add the row."""
    tx.execute(_INSERT, _values(attempt))


def attempt_update(tx: Transaction, attempt: Attempt, *, expected: states.AttemptState) -> None:
    """Compare-and-set: replaces the row only while it is in the expected state and under the epoch that the attempt
    names. Raises InvalidTransition."""
    if tx.execute(_UPDATE, {**_values(attempt), "expected": expected}).rowcount != 1:
        raise errors.InvalidTransition("The attempt moved meanwhile.", attempt_id=attempt.attempt_id)


def attempt_by_id(conn: Connection, attempt_id: str) -> Attempt | None:
    """The attempt with this id."""
    return _one(conn.execute(_SELECT + "WHERE attempt_id = ?", (attempt_id,)).fetchone())


def attempt_newest(conn: Connection, step_id: str) -> Attempt | None:
    """The step's newest attempt."""
    return _one(conn.execute(_SELECT + "WHERE step_id = ? ORDER BY number DESC LIMIT 1", (step_id,)).fetchone())


def attempts_newest(conn: Connection, step_ids: Sequence[str]) -> tuple[Attempt, ...]:
    """The newest attempt of each of these steps that has one, in their order."""
    return tuple(_read(row) for row in conn.execute(_NEWEST, (json.dumps(list(step_ids)),)))


def attempts_of_step(conn: Connection, step_id: str) -> tuple[Attempt, ...]:
    """Every attempt of the step, oldest first."""
    return tuple(_read(row) for row in conn.execute(_SELECT + "WHERE step_id = ? ORDER BY number", (step_id,)))


def attempts_page(conn: Connection, step_id: str, *, after: int, limit: int) -> tuple[Attempt, ...]:
    """Up to `limit` attempts of the step after that number, oldest first."""
    where = "WHERE step_id = ? AND number > ? ORDER BY number LIMIT ?"
    return tuple(_read(row) for row in conn.execute(_SELECT + where, (step_id, after, limit)))


def bases_recent(conn: Connection, repository_id: str, *, limit: int) -> tuple[tuple[str, str | None], ...]:
    """Of up to `limit` attempts of the repository, newest first: the commit that each began with, and the reference to
    its changes, if it has one."""
    rows = conn.execute(
        "SELECT base_commit, ref FROM attempts "
        "WHERE repository_id = ? AND base_commit IS NOT NULL ORDER BY leased_at DESC LIMIT ?",
        (repository_id, limit),
    )
    return tuple((row["base_commit"], row["ref"]) for row in rows)


def _one(row: Row | None) -> Attempt | None:
    return None if row is None else _read(row)


def _values(attempt: Attempt) -> dict[str, Value]:
    return {
        "attempt_id": attempt.attempt_id,
        "step_id": attempt.step_id,
        "run_id": attempt.run_id,
        "repository_id": attempt.repository_id,
        "number": attempt.number,
        "state": attempt.state,
        "executor": attempt.executor,
        "executor_version": attempt.executor_version,
        "epoch": attempt.epoch,
        "pid": attempt.pid,
        "process_start": attempt.process_start,
        "boot_id": attempt.boot_id,
        "exit_code": attempt.exit_code,
        "signal": attempt.signal,
        "base_commit": attempt.base_commit,
        "head_commit": attempt.head_commit,
        "ref": attempt.ref,
        "patch_artifact_id": attempt.patch_artifact_id,
        "patch_sha256": attempt.patch_sha256,
        "changes": json.dumps([change.model_dump(mode="json") for change in attempt.changes]),
        "changes_total": attempt.changes_total,
        "uncommitted": None if attempt.uncommitted is None else attempt.uncommitted.model_dump_json(),
        "summary": attempt.summary,
        "failure": None if attempt.failure is None else attempt.failure.model_dump_json(),
        "usage": attempt.usage.model_dump_json(),
        "thread_id": attempt.thread_id,
        "warnings": json.dumps(attempt.warnings),
        "question": attempt.question,
        "leased_at": instants.instant_text(attempt.leased_at),
        "started_at": instants.optional_text(attempt.started_at),
        "exited_at": instants.optional_text(attempt.exited_at),
        "ended_at": instants.optional_text(attempt.ended_at),
    }


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
