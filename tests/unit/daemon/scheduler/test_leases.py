"""Leasing respects every limit and is fair between repositories."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from local_daemon.protocol.ids import RepositoryId, StepId
from local_daemon.scheduler import leases


def step(number: int, repository: str = "a", executor: str = "codex") -> leases.Candidate:
    return leases.Candidate(step_id=StepId(str(number)), repository_id=RepositoryId(repository), executor=executor)


def test_repositories_take_turns() -> None:
    queued = [step(1), step(2), step(3), step(4, "b"), step(5, "c")]
    chosen = leases.leases_choose(queued=queued, active=[], limits=leases.ConcurrencyLimits(machine=4, repository=4))
    assert [candidate.step_id for candidate in chosen] == ["1", "4", "5", "2"]


def test_a_full_repository_does_not_hold_up_another() -> None:
    limits = leases.ConcurrencyLimits(machine=4, repository=1)
    chosen = leases.leases_choose(queued=[step(2), step(3, "b")], active=[step(1)], limits=limits)
    assert [candidate.step_id for candidate in chosen] == ["3"]


def test_a_busy_executor_is_passed_over() -> None:
    limits = leases.ConcurrencyLimits(machine=4, repository=4, executor={"codex": 1})
    queued = [step(2), step(3, executor="patch")]
    chosen = leases.leases_choose(queued=queued, active=[step(1)], limits=limits)
    assert [candidate.step_id for candidate in chosen] == ["3"]


STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["codex", "patch"])), max_size=20
).map(lambda pairs: [step(number, *pair) for number, pair in enumerate(pairs)])  # fmt: skip


@given(STEPS, st.integers(0, 6), st.integers(1, 6), st.integers(1, 3))
def test_no_limit_is_ever_exceeded_and_no_free_place_is_wasted(
    queued: list[leases.Candidate], machine: int, repository: int, codex: int
) -> None:
    limits = leases.ConcurrencyLimits(machine=machine, repository=repository, executor={"codex": codex})
    chosen = leases.leases_choose(queued=queued, active=[], limits=limits)
    repositories = Counter(candidate.repository_id for candidate in chosen)
    executors = Counter(candidate.executor for candidate in chosen)
    assert len(chosen) <= machine
    assert max(repositories.values(), default=0) <= repository
    assert executors["codex"] <= codex
    if len(chosen) < machine:
        for left in set(queued) - set(chosen):
            assert repositories[left.repository_id] == repository or (
                left.executor == "codex" and executors["codex"] == codex
            )
