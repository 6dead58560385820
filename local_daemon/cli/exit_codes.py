"""What `ropeway` exits with. Scripts rely on these; a code never changes its meaning.

Pure. Shown by `ropeway --help`. Tests: tests/unit/daemon/cli/test_exit_codes.py.
"""

from enum import IntEnum
from typing import TYPE_CHECKING

from local_daemon.client.errors import ContentDamaged
from local_daemon.service.errors import ServiceRefused

if TYPE_CHECKING:
    from local_daemon.protocol import messages


class ExitCode(IntEnum):
    """The outcome of a command."""

    OK = 0  # done; a step that was waited for has completed
    WAITING = 10  # the step waits on a gate
    EXECUTOR_FAILED = 20  # the executor, its worktree or its evidence failed, or the daemon was interrupted
    VALIDATION_FAILED = 21  # a check did not pass
    REFUSED = 22  # a policy, or whoever decided its gate
    TIMED_OUT = 24  # the step's own limit
    CANCELLED = 25  # somebody asked it to end
    NEEDS_ATTENTION = 26  # the record can't tell; resolve it
    NOT_SETTLED = 27  # the wait was over first
    NOT_VERIFIED = 28  # a chain, a signature or a digest is wrong
    NOT_READY = 29  # doctor found something missing, or the service manager did not do what it was asked
    INVALID = 30  # the command or its input is wrong
    INTERNAL = 40  # a defect, or the disk
    UNREACHABLE = 41  # no daemon answers
    OTHER_VERSION = 42  # the daemon is of a version that this command does not understand
    INTERRUPTED = 130  # Ctrl-C; the step goes on


TABLE = """\b
Exit codes: 0 done, 10 waits on a gate, 20 the executor, its worktree
or its evidence failed, or the daemon was interrupted,
21 a check failed, 22 refused by a policy or a gate, 24 timed out,
25 cancelled, 26 needs attention, 27 not settled within --timeout,
28 not verified, 29 not ready, 30 wrong input, 40 internal,
41 no daemon answers, 42 the daemon is of another version,
130 interrupted."""

_BY_FAILURE = {
    "validation": ExitCode.VALIDATION_FAILED,
    "policy": ExitCode.REFUSED,
    "rejected": ExitCode.REFUSED,
    "timeout": ExitCode.TIMED_OUT,
    "internal": ExitCode.INTERNAL,
}
_BY_STATE = {
    "completed": ExitCode.OK,
    "waiting": ExitCode.WAITING,
    "cancelled": ExitCode.CANCELLED,
    "needs_attention": ExitCode.NEEDS_ATTENTION,
}
_SERVER_ERROR = 500


def step_exit_code(step: "messages.StepView") -> ExitCode:
    """The exit code for a step that was waited for."""
    if step.state == "failed":
        return _BY_FAILURE.get(step.failure.kind if step.failure else "", ExitCode.EXECUTOR_FAILED)
    return _BY_STATE.get(step.state, ExitCode.NOT_SETTLED)


def error_exit_code(error: Exception) -> ExitCode:
    """The exit code for a call that was refused, or that nobody answered."""
    if isinstance(error, ContentDamaged):
        return ExitCode.NOT_VERIFIED
    if isinstance(error, ServiceRefused):
        return ExitCode.NOT_READY
    row = getattr(error, "row", None)
    if row is None:
        return ExitCode.UNREACHABLE
    if getattr(error, "code", None) == "protocol_mismatch":
        return ExitCode.OTHER_VERSION
    return ExitCode.INTERNAL if row.http >= _SERVER_ERROR else ExitCode.INVALID
