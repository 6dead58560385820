"""Which queued steps may start now: concurrency limits and fairness, decided purely.

Knows no database and no clock; the loop hands in what is queued and what is active and leases what comes back.
Tests: tests/unit/daemon/scheduler/test_leases.py.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from local_daemon.protocol.ids import RepositoryId, StepId


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A step as far as leasing cares."""

    step_id: StepId
    repository_id: RepositoryId
    executor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcurrencyLimits:
    """How many attempts run at once: on the machine, in one repository, by one executor where it is named."""

    machine: int = 4
    repository: int = 4
    executor: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


def leases_choose(
    *, queued: Sequence[Candidate], active: Iterable[Candidate], limits: ConcurrencyLimits
) -> list[Candidate]:
    """The queued steps that may start now, in the order to start them. `queued` is oldest first; repositories take
    turns, so that a long queue in one never starves another."""
    running = list(active)
    per_repository = Counter(step.repository_id for step in running)
    per_executor = Counter(step.executor for step in running)
    free = limits.machine - len(running)
    turns = _queues_by_repository(queued)
    chosen: list[Candidate] = []
    while turns and free > 0:
        repository_id, queue = turns.popleft()
        if per_repository[repository_id] >= limits.repository:
            continue
        step = _pop_allowed(queue, per_executor, limits)
        if step is None:
            continue
        chosen.append(step)
        per_repository[repository_id] += 1
        per_executor[step.executor] += 1
        free -= 1
        if queue:
            turns.append((repository_id, queue))
    return chosen


def executors_full(active: Iterable[Candidate], limits: ConcurrencyLimits) -> frozenset[str]:
    """The executors that may start nothing more."""
    running = Counter(step.executor for step in active)
    return frozenset(name for name, most in limits.executor.items() if running[name] >= most)


def _queues_by_repository(queued: Sequence[Candidate]) -> deque[tuple[RepositoryId, deque[Candidate]]]:
    queues: dict[RepositoryId, deque[Candidate]] = {}
    for step in queued:
        queues.setdefault(step.repository_id, deque()).append(step)
    return deque(queues.items())


def _pop_allowed(queue: deque[Candidate], per_executor: Counter[str], limits: ConcurrencyLimits) -> Candidate | None:
    """The oldest step whose executor has room; steps of a busy executor are passed over, not waited for."""
    for index, step in enumerate(queue):
        if per_executor[step.executor] < limits.executor.get(step.executor, limits.machine):
            del queue[index]
            return step
    return None
