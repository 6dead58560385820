"""Reads of attempts, and their view.

Called by operation handlers, the scheduler and recovery. Tests: tests/unit/daemon/attempts/test_services.py.
"""

from collections.abc import Sequence

from local_daemon.attempts import store
from local_daemon.attempts.records import Attempt
from local_daemon.protocol import errors, ids, messages
from local_daemon.storage import pages
from local_daemon.storage.database import Connection


def attempt_get(conn: Connection, attempt_id: str) -> Attempt:
    """The attempt. Raises NotFound."""
    attempt = store.attempt_by_id(conn, attempt_id)
    if attempt is None:
        raise errors.NotFound("No such attempt.", attempt_id=attempt_id)
    return attempt


def attempt_newest(conn: Connection, step_id: str) -> Attempt | None:
    """The step's newest attempt; None before the first."""
    return store.attempt_newest(conn, step_id)


def attempts_newest(conn: Connection, step_ids: Sequence[ids.StepId]) -> tuple[Attempt, ...]:
    """The newest attempt of each of these steps that has one, in their order."""
    return store.attempts_newest(conn, step_ids)


def attempts_list(conn: Connection, step_id: str) -> tuple[Attempt, ...]:
    """Every attempt of the step, oldest first."""
    return store.attempts_of_step(conn, step_id)


def attempts_page(
    conn: Connection, step_id: str, *, limit: int, cursor: str | None
) -> tuple[tuple[Attempt, ...], str | None]:
    """A page of the step's attempts, oldest first, and the cursor of the next. Raises InvalidRequest for a cursor not
    ours."""
    found = store.attempts_page(conn, step_id, after=pages.after_position(cursor), limit=limit + 1)
    return pages.page_cut(found, limit=limit)


def bases_recent(conn: Connection, repository_id: str, *, limit: int) -> tuple[tuple[str, str | None], ...]:
    """Of the repository's newest attempts the commit that each began with, and the reference to its changes, if it has
    one."""
    return store.bases_recent(conn, repository_id, limit=limit)


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
