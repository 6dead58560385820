"""Policy and budget as data: what changes need a person, what they may never be, how much work may cost.

The same keys stand in a repository's committed file, in the operator's settings and in a task; an unknown one is an
error, because a misspelt rule must not become no rule. Nothing here decides (`policies/rules.py` does).
Tests: tests/unit/daemon/policies/test_rules.py, tests/unit/daemon/policies/test_sources.py.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from local_daemon.protocol import limits, wire

_COUNT_MAX = 10**12


class Reaction(StrEnum):
    """What follows where a rule applies; of several rules the last of these words wins."""

    ALLOW = "allow"  # nothing
    GATE = "gate"  # a person or planner looks first
    FAIL = "fail"  # the step fails


def _is_path_pattern(pattern: str) -> str:
    parts = pattern.split("/")
    if pattern.startswith("/") or "\\" in pattern or "\x00" in pattern or ".." in parts or "" in parts[:-1]:
        raise ValueError("must be a relative path or glob below the repository, without '..'")
    return pattern


PathPattern = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_is_path_pattern)]
Count = Annotated[wire.Integer, Field(ge=0, le=_COUNT_MAX)]


class Threshold(wire.WireModel):
    """A number of something, and what follows where there are more."""

    over: Count
    then: Reaction = Reaction.GATE


class PathRule(wire.WireModel):
    """Paths, and what follows where one of them is changed. Patterns are read as those that forbid."""

    patterns: tuple[PathPattern, ...] = Field(min_length=1, max_length=limits.LIST_ITEMS)
    then: Reaction = Reaction.GATE


class Budget(wire.WireModel):
    """The most that work may use, over all its attempts. None is no limit; what an executor does not report can't be
    held against it, except time."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cost_usd: wire.Number | None = Field(default=None, gt=0, le=1_000_000)
    duration_s: wire.Integer | None = Field(default=None, ge=1, le=30 * 86_400, description="of executors at work")

    @property
    def is_set(self) -> bool:
        """Whether it limits anything."""
        return any(value is not None for value in (self.input_tokens, self.output_tokens, self.cost_usd)) or (
            self.duration_s is not None
        )


class StepBudget(Budget):
    """A budget of each step. With `then` = fail work is stopped when it is used up; with gate it ends and waits."""

    then: Literal[Reaction.GATE, Reaction.FAIL] = Reaction.FAIL


class Policy(wire.WireModel):
    """What a repository's people, its operator or a planner ask of work. Rules of several policies all hold."""

    start: Literal[Reaction.ALLOW, Reaction.GATE] = Field(default=Reaction.ALLOW, description="before work begins")
    uncommitted: Reaction = Field(
        default=Reaction.ALLOW,
        description="where work is to begin at what is checked out, and the checkout holds changes beside that commit: "
        "gate asks before work begins, fail refuses it",
    )
    paths: tuple[PathRule, ...] = Field(default=(), max_length=limits.LIST_ITEMS)
    changed_files: Threshold | None = None
    changed_lines: Threshold | None = None
    deletions: Threshold | None = Field(default=None, description="files that are gone, or moved away")
    dependencies: Reaction = Field(default=Reaction.ALLOW, description="files that name dependencies or lock them")
    migrations: Reaction = Field(default=Reaction.ALLOW, description="files that change a database's schema")
    secrets: Literal[Reaction.GATE, Reaction.FAIL] = Field(
        default=Reaction.GATE, description="what looks like a credential"
    )
    links: Literal[Reaction.GATE, Reaction.FAIL] = Field(
        default=Reaction.GATE, description="symbolic links that lead out"
    )
    rules: Literal[Reaction.GATE, Reaction.FAIL] = Field(
        default=Reaction.GATE, description="changes below .ropeway, where these rules stand"
    )
    validations: Literal[Reaction.GATE, Reaction.FAIL] | None = Field(
        default=None, description="a check that did not pass; fail unless said otherwise"
    )
    questions: Literal[Reaction.GATE, Reaction.FAIL] = Reaction.GATE
    apply: Literal[Reaction.ALLOW, Reaction.GATE, Reaction.FAIL] = Field(
        default=Reaction.ALLOW, description="gate: only changes that a gate approved reach a branch; fail: none do"
    )
    budget: StepBudget = StepBudget()
