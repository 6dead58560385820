"""The SQL that writes conversations. Called by `services` only.

Tests: tests/integration/daemon/test_conversations.py.
"""

from local_daemon.conversations.records import Conversation, Turn
from local_daemon.protocol import errors, states
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
