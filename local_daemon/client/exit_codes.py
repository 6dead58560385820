"""What `ropeway` exits with. Scripts rely on these; a code never changes its meaning.

Pure. Documented in docs/operators.md. Tests: tests/unit/daemon/client/test_exit_codes.py.
"""

from enum import IntEnum

from local_daemon.protocol import messages, states


class ExitCode(IntEnum):
    """The outcome of a command."""

    OK = 0  # done; a step that was waited for has completed
    WAITING = 10  # the step waits on a gate
    EXECUTOR_FAILED = 20  # the executor, its worktree or its evidence failed
    VALIDATION_FAILED = 21  # a check did not pass
    REFUSED = 22  # a policy, or whoever decided its gate
    TIMED_OUT = 24  # the step's own limit
    CANCELLED = 25  # somebody asked it to end
    NEEDS_ATTENTION = 26  # the record can't tell; resolve it
    NOT_SETTLED = 27  # the wait was over first
    NOT_VERIFIED = 28  # a chain, a signature or a digest is wrong
    INVALID = 30  # the command or its input is wrong
    INTERNAL = 40  # a defect, or the disk
    UNREACHABLE = 41  # no daemon answers


_BY_FAILURE = {
    states.FailureKind.VALIDATION: ExitCode.VALIDATION_FAILED,
    states.FailureKind.POLICY: ExitCode.REFUSED,
    states.FailureKind.REJECTED: ExitCode.REFUSED,
    states.FailureKind.TIMEOUT: ExitCode.TIMED_OUT,
}
_BY_STATE = {
    states.StepState.COMPLETED: ExitCode.OK,
    states.StepState.WAITING: ExitCode.WAITING,
    states.StepState.CANCELLED: ExitCode.CANCELLED,
    states.StepState.NEEDS_ATTENTION: ExitCode.NEEDS_ATTENTION,
}


def step_exit_code(step: messages.StepView) -> ExitCode:
    """The exit code for a step that was waited for."""
    if step.state is states.StepState.FAILED:
        kind = None if step.failure is None else step.failure.kind
        return _BY_FAILURE.get(kind, ExitCode.EXECUTOR_FAILED) if kind else ExitCode.EXECUTOR_FAILED
    return _BY_STATE.get(step.state, ExitCode.NOT_SETTLED)
