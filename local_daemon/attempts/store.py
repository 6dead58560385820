"""The SQL that writes attempts. Called by `services` only.

Tests: tests/unit/daemon/attempts/.
"""

import json
from collections.abc import Sequence

from local_daemon.attempts.records import Attempt
from local_daemon.protocol import errors, states
from local_daemon.storage import instants
from local_daemon.storage.transaction import Transaction, Value

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
