"""What is said of an attempt of which something may still run: by its cause, which a planner can tell it by.

Pure. Whatever else became of the attempt, a person has to look, and its worktree stays. Called by `execution`,
`provision`, `conclusion`. Tests: tests/integration/daemon/test_cancel.py.
"""

from local_daemon.protocol import specs, states


def failure(
    survivors: int, *, of: str | None = None, kind: states.FailureKind = states.FailureKind.EXECUTOR
) -> specs.Failure:
    """So many processes could not be ended; `of` says whose they are, where they are not the executor's."""
    whose = "its processes" if of is None else f"the processes of {of}"
    return specs.Failure(
        kind=kind,
        cause=states.FailureCause.UNCONFIRMED,
        detail=f"unconfirmed: {survivors} of {whose} could not be ended; they may still be running",
    )


def is_said(failure: specs.Failure | None) -> bool:
    """Whether the failure says so."""
    return failure is not None and failure.cause is states.FailureCause.UNCONFIRMED
