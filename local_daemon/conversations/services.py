"""Writes of conversations: begin, say, undo, close. A turn is a step that begins with what the turn before it left.

Called by operation handlers and the scheduler. Tests: tests/integration/daemon/test_conversations.py.
"""

from collections.abc import Sequence

from local_daemon.conversations import lifecycle, selectors, store
from local_daemon.conversations.records import Conversation, Turn
from local_daemon.protocol import errors, ids, limits, specs
from local_daemon.protocol.policies import Policy
from local_daemon.protocol.states import ConversationEvent, ConversationState, StepState
from local_daemon.runs import services as runs
from local_daemon.steps import selectors as steps
from local_daemon.storage import texts
from local_daemon.storage.database import Connection
from local_daemon.storage.transaction import Transaction

_TURN_BYTES = 700
UNDONE = "the turn before was undone, and a thread can't forget"


def conversation_begin(
    tx: Transaction,
    *,
    repository_id: ids.RepositoryId,
    executor: str,
    profile: str | None,
    title: str | None,
    base: str | None,
) -> Conversation:
    """Begin a talk, and the run that holds its turns."""
    objective = title or f"A conversation with {executor}"
    run, _ = runs.run_create(tx, repository_id=repository_id, objective=objective, name=None, title=title)
    conversation_id = ids.ConversationId(ids.new_id(ids.IdPrefix.CONVERSATION))
    store.conversation_insert(
        tx,
        Conversation(
            position=0,
            conversation_id=conversation_id,
            repository_id=repository_id,
            run_id=run.run_id,
            state=ConversationState.OPEN,
            executor=executor,
            profile=profile,
            base=base,
            created_at=tx.now,
        ),
    )
    return selectors.conversation_get(tx.connection, conversation_id, repository_id=repository_id)


def conversation_say(
    tx: Transaction, *, conversation: Conversation, task: specs.TaskSpec, policies: Sequence[Policy]
) -> Turn:
    """Queue the next turn: it begins with what the last one left, and goes on with its thread, if there is one and
    nothing of it was undone. Raises InvalidTransition while the last turn has not ended."""
    turns = selectors.turns_of(tx.connection, conversation.conversation_id)
    _advance(tx, conversation, ConversationEvent.SAID, turns)
    kept = selectors.attempt_kept(tx.connection, turns)
    fresh_because = UNDONE if turns and turns[-1].is_undone else None
    has_thread = kept is not None and kept.thread_id is not None and fresh_because is None
    began = task.model_copy(
        update={
            "executor": conversation.executor,
            "profile": conversation.profile,
            "base": conversation.base if kept is None else kept.head_commit,
            "context": specs.TaskContext(summary=_earlier(tx.connection, turns)),
        }
    )
    step, _ = runs.run_step_submit(tx, run_id=conversation.run_id, task=began, name=None, policies=policies)
    turn = Turn(
        conversation_id=conversation.conversation_id,
        number=len(turns) + 1,
        step_id=step.step_id,
        is_undone=False,
        continues_attempt_id=kept.attempt_id if kept is not None and has_thread else None,
        fresh_because=fresh_because,
    )
    store.turn_insert(tx, turn)
    return turn


def turn_undo(tx: Transaction, *, conversation: Conversation) -> Turn:
    """Let the next turn begin with what was there before the newest one that was not undone yet. Its changes stay on
    record. Raises InvalidTransition where there is none, or while one has not ended."""
    turns = selectors.turns_of(tx.connection, conversation.conversation_id)
    _advance(tx, conversation, ConversationEvent.UNDONE, turns)
    undone = next((turn for turn in reversed(turns) if not turn.is_undone), None)
    if undone is None:
        raise errors.InvalidTransition("There is no turn left to undo.", conversation_id=conversation.conversation_id)
    store.turn_undo(tx, undone.step_id)
    return undone


def conversation_close(tx: Transaction, *, conversation: Conversation) -> Conversation:
    """End the talk. Raises InvalidTransition while its last turn has not ended."""
    turns = selectors.turns_of(tx.connection, conversation.conversation_id)
    _advance(tx, conversation, ConversationEvent.CLOSED, turns)
    runs.run_close(tx, run_id=conversation.run_id)
    return selectors.conversation_get(
        tx.connection, conversation.conversation_id, repository_id=conversation.repository_id
    )


def thread_forget(tx: Transaction, *, step_id: ids.StepId, because: str) -> None:
    """Let the turn's next attempt begin a fresh thread, because the old one could not be taken up."""
    store.thread_forget(tx, step_id, because=because)


def _advance(tx: Transaction, conversation: Conversation, event: ConversationEvent, turns: tuple[Turn, ...]) -> None:
    last: StepState | None = steps.step_load(tx.connection, turns[-1].step_id).state if turns else None
    state = lifecycle.next_state(conversation.state, event, last_turn=last)
    store.state_update(tx, conversation, state=state)
    tx.touch(conversation.conversation_id)


def _earlier(conn: Connection, turns: tuple[Turn, ...]) -> str:
    """What was said and done so far, for a thread that does not know it; the newest turns where not all fit."""
    told: list[str] = []
    size = 0
    for turn in reversed(turns):
        step = steps.step_load(conn, turn.step_id)
        goal = steps.step_task(conn, turn.step_id).goal
        ended = "undone" if turn.is_undone else step.state
        words = f"{turn.number}. Asked: {goal.strip()}\n   {ended}: {step.summary.strip()}"
        words = texts.text_cut(words, limit_bytes=_TURN_BYTES)
        size += len(words.encode()) + 1
        if size > limits.TEXT_BYTES - 200:
            break
        told.append(words)
    return "Earlier in this conversation:\n" + "\n".join(reversed(told)) if told else ""
