"""Request and response bodies of conversations with an executor.

Bodies as in `messages`, which takes part in nothing of this. Tests: tests/contract/test_operations.py.
"""

from pydantic import Field

from local_daemon.protocol import limits, policies, specs, states, wire


class ConversationBegin(wire.WireModel):
    """Begins a talk with one executor, at a branch, tag or commit (default: HEAD)."""

    executor: specs.ExecutorName
    profile: specs.ExecutorName | None = None
    title: wire.Line | None = None
    base: specs.Revision | None = None


class ConversationSay(wire.WireModel):
    """One turn: what is said, and what a step may have besides."""

    text: wire.Goal
    params: wire.JsonObject = Field(default_factory=dict, description="executor-specific settings")
    validations: tuple[specs.ValidationSpec, ...] = Field(default=(), max_length=limits.LIST_ITEMS)
    gates: specs.GateRules = specs.GateRules()
    budget: policies.Budget = policies.Budget()
    timeout_s: wire.Integer = Field(default=limits.STEP_TIMEOUT_S_DEFAULT, ge=1, le=limits.STEP_TIMEOUT_S_MAX)


class TurnView(wire.ViewModel):
    """One turn; the rest of it is its step's. Where it does not continue the thread, `fresh_because` may say why."""

    number: wire.Integer
    step_id: str
    title: str
    state: states.StepState
    summary: str = ""
    gate_id: str | None = None
    failure: specs.Failure | None = None
    is_undone: wire.Flag
    continues_thread: wire.Flag
    fresh_because: str | None = None


class ConversationView(wire.ViewModel):
    """A talk with one executor: its thread, what its worktree holds, and its turns. Of a turn that was said just now,
    `warnings` say what will not hold as it asks."""

    conversation_id: str
    run_id: str
    state: states.ConversationState
    executor: str
    profile: str | None = None
    thread_id: str | None = None
    head_commit: str | None = None
    turns: tuple[TurnView, ...] = ()
    warnings: tuple[str, ...] = ()
    created_at: wire.Instant


class ConversationPage(wire.ViewModel):
    """Conversations, newest first."""

    items: tuple[ConversationView, ...]
    next_cursor: str | None = None
