"""How an executor is to be run: what it may touch, what it may do unasked, with which model, for how much.

A profile is the operator's: it comes from `daemon.toml`, and a task only names it. Deliberately knows no command line;
each executor says which combinations it can keep, and refuses the others rather than come close.
Called by the registry and the executors. Tests: tests/unit/daemon/executors/test_profiles.py.
"""

from dataclasses import dataclass
from enum import StrEnum


class Sandbox(StrEnum):
    """What an executor may touch."""

    READ_ONLY = "read-only"  # it looks, and changes nothing
    WORKSPACE = "workspace"  # it changes what is in its worktree
    OFF = "off"  # whatever the operator's account may


class Approval(StrEnum):
    """What an executor may do although nobody is there to be asked."""

    NEVER = "never"  # everything that its sandbox lets through; nothing is asked
    EDITS = "edits"  # edit files; a command it would have to ask for is refused
    ASK = "ask"  # what it has to ask for becomes a question to the planner


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One way to run one executor. None is the executor's own default. `environment` names what it sees of the
    operator's environment besides what it needs; `program` is the file to run instead of the one on the PATH;
    `stall_timeout_s` how long it may print nothing, where the task doesn't say (0: for ever)."""

    name: str
    executor: str
    sandbox: Sandbox | None = None
    approval: Approval | None = None
    model: str | None = None
    budget_usd: float | None = None
    environment: tuple[str, ...] = ()
    program: str | None = None
    stall_timeout_s: int = 0
