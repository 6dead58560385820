"""Conversations and their turns as they are recorded; what a turn came to is its step's.

Tests: tests/integration/daemon/test_conversations.py.
"""

from dataclasses import dataclass
from datetime import datetime

from local_daemon.protocol import ids, states


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A talk with one executor, its turns the steps of one run."""

    position: int
    conversation_id: ids.ConversationId
    repository_id: ids.RepositoryId
    run_id: ids.RunId
    state: states.ConversationState
    executor: str
    profile: str | None
    base: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn. `continues_attempt_id` is the attempt whose thread it goes on with; None begins a fresh one."""

    conversation_id: ids.ConversationId
    number: int
    step_id: ids.StepId
    is_undone: bool
    continues_attempt_id: ids.AttemptId | None
    fresh_because: str | None
