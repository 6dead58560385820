"""RunManifest: a whole run as a planner states it, submitted at once and checked as a whole, version 1.

Steps in order, or each with the names of those it depends on; whatever depends on nothing unfinished runs in parallel.
Strict like TaskSpec. Deliberately no defaults and no files: the command line adds those before it sends.
Tests: tests/unit/daemon/protocol/test_manifests.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from local_daemon.protocol import limits, origins, policies, specs, wire


class StepOrder(StrEnum):
    """Which steps wait for which."""

    SEQUENCE = "sequence"  # each for the one before it
    GRAPH = "graph"  # each for those it names


class OnFailure(StrEnum):
    """What a step that does not succeed means for those that have not begun."""

    STOP = "stop"  # none of them begins
    CONTINUE = "continue"  # only those that depend on it do not begin


class ManifestStep(wire.WireModel):
    """One step. `builds_on` names one of those it depends on: it begins with that step's changes, not without any."""

    name: specs.RecordName
    task: specs.TaskSpec
    depends_on: tuple[specs.RecordName, ...] = Field(default=(), max_length=limits.LIST_ITEMS)
    builds_on: specs.RecordName | None = None

    @model_validator(mode="after")
    def _has_one_base(self) -> Self:
        if self.builds_on is not None and self.task.base is not None:
            raise ValueError("builds_on: says where to begin, so task.base can't say it too")
        return self


class RunManifest(wire.WireModel):
    """A run with all its steps. `name` is a natural key: a repeat returns the run that has it, if it is the same."""

    version: Literal["v1"] = "v1"
    name: specs.RecordName | None = None
    title: wire.Line | None = None
    objective: wire.Goal
    order: StepOrder = StepOrder.GRAPH
    on_failure: OnFailure = OnFailure.STOP
    budget: policies.Budget = Field(default=policies.Budget(), description="of all attempts together; hard")
    steps: tuple[ManifestStep, ...] = Field(min_length=1, max_length=limits.LIST_ITEMS)
    provenance: origins.Told = None

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        problems = list(_problems(self))
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The names each step waits for, in the manifest's order."""
        if self.order is StepOrder.GRAPH:
            return {step.name: tuple(dict.fromkeys(step.depends_on)) for step in self.steps}
        names = [step.name for step in self.steps]
        return {name: tuple(names[index - 1 : index]) if index else () for index, name in enumerate(names)}

    def digest(self) -> str:
        """The SHA-256 of the canonical form, whatever it was made of."""
        return wire.body_digest(origins.digested(self))


def _problems(manifest: RunManifest) -> Iterator[str]:
    names = [step.name for step in manifest.steps]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        yield f"steps: each needs a name of its own, and more than one is called {', '.join(repeated)}"
        if manifest.order is StepOrder.SEQUENCE:
            return  # Who waits for whom in a sequence can't be told without names.
    for step in manifest.steps:
        if manifest.order is StepOrder.SEQUENCE and step.depends_on:
            yield f"{step.name}.depends_on: goes with order 'graph' only"
        if unknown := sorted(set(step.depends_on) - set(names)):
            yield f"{step.name}.depends_on: there is no step {', '.join(unknown)}"
    needs = manifest.needs()
    for step in manifest.steps:
        if step.builds_on is not None and step.builds_on not in needs[step.name]:
            yield f"{step.name}.builds_on: {step.builds_on} is not a step that it waits for"
    circle = circle_find(needs)
    if circle:
        yield f"steps: {' → '.join(circle)} wait for each other"


def circle_find(needs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """One circle of names that wait for each other, its first name repeated at the end; empty where there is none.
    Names that are not keys are passed over."""
    done: set[str] = set()
    for begin in needs:
        path: list[str] = []
        pending = [(begin, iter(needs[begin]))] if begin not in done else []
        if pending:
            path.append(begin)
        while pending:
            name, waited = pending[-1]
            following = next((each for each in waited if each in needs and each not in done), None)
            if following is None:
                done.add(name)
                pending.pop()
                path.pop()
            elif following in path:
                return (*path[path.index(following) :], following)
            else:
                path.append(following)
                pending.append((following, iter(needs[following])))
    return ()
