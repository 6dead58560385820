"""The SQL of conversations. Called by `services` and `selectors` only.

Tests: tests/integration/daemon/test_conversations.py.
"""

from local_daemon.conversations.records import Conversation, Turn
from local_daemon.protocol import errors, states
from local_daemon.storage import instants
from local_daemon.storage.database import Connection, Row
from local_daemon.storage.transaction import Transaction


def conversation_insert(tx: Transaction, conversation: Conversation) -> None:
    """Add the row; its position is the record's to give."""
    tx.execute(
        "INSERT INTO conversations "
        "(conversation_id, repository_id, run_id, state, executor, profile, base, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            conversation.conversation_id, conversation.repository_id, conversation.run_id, conversation.state,
            conversation.executor, conversation.profile, conversation.base, tx.now_text,
        ),
    )  # fmt: skip


def state_update(tx: Transaction, conversation: Conversation, *, state: states.ConversationState) -> None:
    """Compare-and-set. Raises InvalidTransition."""
    changed = tx.execute(
        "UPDATE conversations SET state = ? WHERE conversation_id = ? AND state = ?",
        (state, conversation.conversation_id, conversation.state),
    )
    if changed.rowcount != 1:
        raise errors.InvalidTransition("The conversation moved meanwhile; read it before asking again.")


def turn_insert(tx: Transaction, turn: Turn) -> None:
    """Add the row."""
    tx.execute(
        "INSERT INTO turns (step_id, conversation_id, number, is_undone, continues_attempt_id, fresh_because) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (
            turn.step_id, turn.conversation_id, turn.number, turn.is_undone, turn.continues_attempt_id,
            turn.fresh_because,
        ),
    )  # fmt: skip


def turn_undo(tx: Transaction, step_id: str) -> None:
    """Mark the turn as undone."""
    tx.execute("UPDATE turns SET is_undone = 1 WHERE step_id = ?", (step_id,))


def thread_forget(tx: Transaction, step_id: str, *, because: str) -> None:
    """Let the turn begin a fresh thread, and say why."""
    tx.execute("UPDATE turns SET continues_attempt_id = NULL, fresh_because = ? WHERE step_id = ?", (because, step_id))


def conversation_by_id(conn: Connection, conversation_id: str) -> Conversation | None:
    """The conversation with this id."""
    row = conn.execute("SELECT * FROM conversations WHERE conversation_id = ?", (conversation_id,)).fetchone()
    return None if row is None else _read(row)


def conversations_page(conn: Connection, repository_id: str, *, before: int, limit: int) -> tuple[Conversation, ...]:
    """Up to `limit` conversations of the repository begun before position `before`, newest first."""
    rows = conn.execute(
        "SELECT * FROM conversations WHERE repository_id = ? AND position < ? ORDER BY position DESC LIMIT ?",
        (repository_id, before, limit),
    )
    return tuple(_read(row) for row in rows)


def turns_of(conn: Connection, conversation_id: str) -> tuple[Turn, ...]:
    """Every turn of the conversation, oldest first."""
    rows = conn.execute("SELECT * FROM turns WHERE conversation_id = ? ORDER BY number", (conversation_id,))
    return tuple(_turn(row) for row in rows)


def turn_by_step(conn: Connection, step_id: str) -> Turn | None:
    """The turn that this step is."""
    row = conn.execute("SELECT * FROM turns WHERE step_id = ?", (step_id,)).fetchone()
    return None if row is None else _turn(row)


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
