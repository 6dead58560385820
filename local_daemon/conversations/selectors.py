"""Reads of conversations, and their view: each turn with what its step came to.

Called by operation handlers and the scheduler. Tests: tests/integration/daemon/test_conversations.py.
"""

from local_daemon.attempts import selectors as attempts
from local_daemon.attempts.records import Attempt
from local_daemon.conversations.records import Conversation, Turn
from local_daemon.protocol import conversations as conversation_messages
from local_daemon.protocol import errors, states
from local_daemon.steps import selectors as steps
from local_daemon.storage import instants, pages
from local_daemon.storage.database import Connection, Row


def conversation_get(conn: Connection, conversation_id: str, *, repository_id: str) -> Conversation:
    """The conversation. Raises NotFound, also for one of another repository."""
    row = conn.execute(
        "SELECT * FROM conversations WHERE conversation_id = ? AND repository_id = ?", (conversation_id, repository_id)
    ).fetchone()
    if row is None:
        raise errors.NotFound("No such conversation in this repository.", conversation_id=conversation_id)
    return _read(row)


def conversations_list(
    conn: Connection, repository_id: str, *, limit: int, cursor: str | None
) -> tuple[tuple[Conversation, ...], str | None]:
    """A page of conversations, newest first, and the next one's cursor. Raises InvalidRequest for a cursor not ours."""
    rows = conn.execute(
        "SELECT * FROM conversations WHERE repository_id = ? AND position < ? ORDER BY position DESC LIMIT ?",
        (repository_id, pages.before_position(cursor), limit + 1),
    )
    return pages.page_cut([_read(row) for row in rows], limit=limit)


def turns_of(conn: Connection, conversation_id: str) -> tuple[Turn, ...]:
    """Every turn, oldest first."""
    rows = conn.execute("SELECT * FROM turns WHERE conversation_id = ? ORDER BY number", (conversation_id,))
    return tuple(_turn(row) for row in rows)


def turn_of_step(conn: Connection, step_id: str) -> Turn | None:
    """The turn that this step is; None for a step of its own."""
    row = conn.execute("SELECT * FROM turns WHERE step_id = ?", (step_id,)).fetchone()
    return None if row is None else _turn(row)


def attempt_kept(conn: Connection, turns: tuple[Turn, ...]) -> Attempt | None:
    """The newest attempt of the turns that were not undone whose changes are on record: where the talk stands."""
    for turn in reversed(turns):
        if not turn.is_undone:
            for attempt in reversed(attempts.attempts_list(conn, turn.step_id)):
                if attempt.head_commit is not None:
                    return attempt
    return None


def is_from_head(conn: Connection, conversation: Conversation) -> bool:
    """Whether its next turn begins with what is checked out."""
    return conversation.base is None and attempt_kept(conn, turns_of(conn, conversation.conversation_id)) is None


def conversation_view(conn: Connection, conversation: Conversation) -> conversation_messages.ConversationView:
    """The conversation as everybody sees it."""
    turns = turns_of(conn, conversation.conversation_id)
    kept = attempt_kept(conn, turns)
    return conversation_messages.ConversationView(
        conversation_id=conversation.conversation_id,
        run_id=conversation.run_id,
        state=conversation.state,
        executor=conversation.executor,
        profile=conversation.profile,
        thread_id=None if kept is None else kept.thread_id,
        head_commit=None if kept is None else kept.head_commit,
        turns=tuple(_turn_view(conn, turn) for turn in turns),
        created_at=conversation.created_at,
    )


def _turn_view(conn: Connection, turn: Turn) -> conversation_messages.TurnView:
    step = steps.step_load(conn, turn.step_id)
    return conversation_messages.TurnView(
        number=turn.number,
        step_id=turn.step_id,
        title=step.title,
        state=step.state,
        summary=step.summary,
        gate_id=step.gate_id,
        failure=step.failure,
        is_undone=turn.is_undone,
        continues_thread=turn.continues_attempt_id is not None,
        fresh_because=turn.fresh_because,
    )


def _read(row: Row) -> Conversation:
    return Conversation(
        position=row["position"],
        conversation_id=row["conversation_id"],
        repository_id=row["repository_id"],
        run_id=row["run_id"],
        state=states.ConversationState(row["state"]),
        executor=row["executor"],
        profile=row["profile"],
        base=row["base"],
        created_at=instants.instant_read(row["created_at"]),
    )


def _turn(row: Row) -> Turn:
    return Turn(
        conversation_id=row["conversation_id"],
        number=row["number"],
        step_id=row["step_id"],
        is_undone=bool(row["is_undone"]),
        continues_attempt_id=row["continues_attempt_id"],
        fresh_because=row["fresh_because"],
    )
