"""States and events of every lifecycle, as words on the wire, with their full transition tables' vocabulary.

The tables themselves stand beside their noun in `lifecycle.py`; only the words are here, because all four components
speak them. A failed step is data, not an error. Tests: tests/lifecycle/.
"""

from enum import StrEnum


class RunState(StrEnum):
    """Where an objective stands, by its steps."""

    OPEN = "open"  # accepts steps; nothing is going on
    RUNNING = "running"  # at least one step is queued or working
    WAITING = "waiting"  # every unfinished step waits on a decision
    COMPLETED = "completed"  # closed, and every step has succeeded
    FAILED = "failed"  # closed or stopped, and some step has failed
    CANCELLED = "cancelled"  # cancelled by its planner or operator, it or steps of it, and no step has failed


class StepState(StrEnum):
    """Where one unit of work stands."""

    QUEUED = "queued"  # durable, waits for a lease
    PREPARING = "preparing"  # leased; its worktree is being made
    RUNNING = "running"  # the executor was released
    COLLECTING = "collecting"  # the executor ended; its changes are being recorded
    VALIDATING = "validating"  # changes are safe; checks and policies run
    RETRY_WAIT = "retry_wait"  # a retry rule applies; a new attempt is due later
    WAITING = "waiting"  # on a gate; carries `resume_to`
    NEEDS_ATTENTION = "needs_attention"  # the record can't tell; a person resolves it
    COMPLETED = "completed"  # done, perhaps with warnings
    FAILED = "failed"  # carries a failure
    CANCELLED = "cancelled"  # ended on request


STEP_TERMINAL = frozenset({StepState.COMPLETED, StepState.FAILED, StepState.CANCELLED})
STEP_SETTLED = STEP_TERMINAL | {StepState.WAITING, StepState.NEEDS_ATTENTION}
"""States in which nothing more happens without a person: what a wait stops at."""
RUN_TERMINAL = frozenset({RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED})


class StepEvent(StrEnum):
    """What can happen to a step."""

    LEASED = "leased"  # the scheduler took it for an attempt
    GATED = "gated"  # a gate opened on it
    RELEASED = "released"  # its executor was let go
    EXITED = "exited"  # its executor ended
    COLLECTED = "collected"  # its changes are recorded
    SUCCEEDED = "succeeded"  # everything holds
    FAILED = "failed"  # something does not
    RETRY = "retry"  # its rule, or a person, asks for another attempt
    DUE = "due"  # its retry wait is over
    RESUMED = "resumed"  # its gate was decided for going on
    CANCELLED = "cancelled"  # it ended on request
    LOST = "lost"  # recovery cannot tell what happened


class AttemptState(StrEnum):
    """Where one try stands."""

    LEASED = "leased"  # owned by one scheduler epoch; nothing started
    RUNNING = "running"  # pid and start time are recorded, the latch was released
    EXITED = "exited"  # the executor is known to have ended
    RECORDED = "recorded"  # its evidence is complete
    ABANDONED = "abandoned"  # given up; whatever could be kept was kept


class AttemptEvent(StrEnum):
    """What can happen to an attempt."""

    STARTED = "started"  # the latch is about to be released
    EXITED = "exited"  # the process ended
    RECORDED = "recorded"  # the evidence is written
    ABANDONED = "abandoned"  # recovery or cancel gave it up


class GateState(StrEnum):
    """Where a decision stands."""

    OPEN = "open"  # waits for a decision
    APPROVED = "approved"  # go on with exactly what the digest names
    REJECTED = "rejected"  # do not
    ANSWERED = "answered"  # a question got its answer
    EXPIRED = "expired"  # nobody decided in time


class GateEvent(StrEnum):
    """What can happen to a gate."""

    APPROVE = "approve"  # a person or planner agrees
    REJECT = "reject"  # a person or planner refuses
    ANSWER = "answer"  # a question is answered
    EXPIRE = "expire"  # its time is over


class GateKind(StrEnum):
    """Why and when work pauses."""

    BEFORE = "before"  # before the executor starts
    QUESTION = "question"  # the executor asks
    AFTER = "after"  # the changes are recorded and wait for approval


class GateDecision(StrEnum):
    """What a decider says."""

    APPROVE = "approve"  # go on
    REJECT = "reject"  # stop here
    ANSWER = "answer"  # the text answers the question


class ConversationState(StrEnum):
    """Where a talk with an executor stands; whether a turn is at work is that turn's step's affair."""

    OPEN = "open"  # takes another turn once the last one has ended
    CLOSED = "closed"  # takes no more


class ConversationEvent(StrEnum):
    """What can happen to a talk."""

    SAID = "said"  # another turn
    UNDONE = "undone"  # the newest turn is taken back
    CLOSED = "closed"  # it is over


class ApplicationState(StrEnum):
    """Where a result stands on its way onto a branch."""

    PLANNED = "planned"  # what will be done is on record; it may have been done
    APPLIED = "applied"  # the branch holds it
    REFUSED = "refused"  # nothing was changed; the reason says why


class ApplicationEvent(StrEnum):
    """What can happen to it."""

    CARRIED_OUT = "carried_out"  # the branch was moved, or held it already
    REFUSED = "refused"  # a conflict, a dirty checkout, a branch that moved


class ValidationVerdict(StrEnum):
    """How a check ended."""

    PASSED = "passed"  # exit code 0
    FAILED = "failed"  # another exit code
    TIMEOUT = "timeout"  # ended by its limit
    ERRORED = "errored"  # it could not be run, not be ended, or printed without end


class FailureKind(StrEnum):
    """Whose fault a failed step is."""

    EXECUTOR = "executor"  # the executor reported or showed failure
    VALIDATION = "validation"  # a check did not pass
    POLICY = "policy"  # the changes break a rule
    TIMEOUT = "timeout"  # the step's wall clock ran out, or the time that its executor may be silent
    REJECTED = "rejected"  # its gate was rejected or expired
    INTERRUPTED = "interrupted"  # the daemon or machine went away meanwhile
    WORKSPACE = "workspace"  # the worktree could not be made or read
    ARTIFACT = "artifact"  # evidence could not be kept
    INTERNAL = "internal"  # a defect of the daemon


class FailureCause(StrEnum):
    """Why an executor failed, as far as its own words tell."""

    AUTH = "auth"  # it is not logged in, or its key is not accepted
    RATE_LIMIT = "rate_limit"  # its account's limit is reached for now
    NETWORK = "network"  # its model's service can't be reached
    SERVICE = "service"  # its model's service failed
    REFUSED = "refused"  # its model or its own rules refuse this task
    BUDGET = "budget"  # a budget is used up: its profile's, or with kind `policy` the step's or the run's
    STALLED = "stalled"  # with kind `timeout`: it said nothing for as long as it may be silent, and was ended
    CRASHED = "crashed"  # it ended without saying why
    UNCLEAR = "unclear"  # its words and its exit code disagree, or make no sense
    UNCONFIRMED = "unconfirmed"  # something that the attempt started could not be ended, and may still run


class BudgetHold(StrEnum):
    """How a budget is held with an executor, by when it tells what it uses."""

    LIVE = "live"  # it tells while it works, and is stopped when the budget is used up
    ITSELF = "itself"  # it is given the budget, and stops by itself
    END = "end"  # it tells when it ends: it can't be stopped before, and what follows it does not start
    NEVER = "never"  # it does not tell: such a budget holds nothing


class CallState(StrEnum):
    """Where a remote call stands, in the cloud."""

    ACCEPTED = "accepted"  # recorded; certainly not executed yet
    SENT = "sent"  # handed to a link; may have been executed
    ANSWERED = "answered"  # has its final answer
    EXPIRED = "expired"  # its deadline passed before it was sent: not executed
    CANCELLED = "cancelled"  # withdrawn before it was sent: not executed
    UNRESOLVED = "unresolved"  # its deadline passed after it was sent: may have been executed


class CallEvent(StrEnum):
    """What can happen to a call."""

    SEND = "send"  # a link takes it
    LINK_LOST = "link_lost"  # its link is gone; it will be redelivered
    ANSWER = "answer"  # the machine, or a refusal on the way, answered
    DEADLINE = "deadline"  # its time is over
    CANCEL = "cancel"  # its caller withdrew
