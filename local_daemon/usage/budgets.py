"""Whether a budget is used up: pure arithmetic, told with its numbers.

A budget is hard: work that would start with nothing left does not, and work that uses up the rest is stopped.
Called by the scheduler. Tests: tests/unit/daemon/usage/test_budgets.py.
"""

from collections.abc import Iterator
from dataclasses import replace

from local_daemon.protocol.policies import Budget
from local_daemon.usage.records import Spent


def used_up(budget: Budget, spent: Spent) -> str | None:
    """What leaves nothing for another start, in words; None while there is something of everything left."""
    return next((words for value, limit, words in _compared(budget, spent) if value >= limit), None)


def exceeded(budget: Budget, spent: Spent) -> str | None:
    """What was used beyond the budget, in words; None where it was kept."""
    return next((words for value, limit, words in _compared(budget, spent) if value > limit), None)


def seconds_left(budget: Budget, spent: Spent) -> float | None:
    """How long executors may still work; None without such a limit, never below zero."""
    if budget.duration_s is None:
        return None
    return max(0.0, budget.duration_s - spent.duration_ms / 1000)


def added(spent: Spent, more: Spent) -> Spent:
    """Both together."""
    return replace(
        spent,
        attempts=spent.attempts + more.attempts,
        unreported=spent.unreported + more.unreported,
        partial=spent.partial + more.partial,
        input_tokens=_sum(spent.input_tokens, more.input_tokens),
        cached_input_tokens=_sum(spent.cached_input_tokens, more.cached_input_tokens),
        output_tokens=_sum(spent.output_tokens, more.output_tokens),
        cost_usd=None if spent.cost_usd is more.cost_usd is None else (spent.cost_usd or 0) + (more.cost_usd or 0),
        duration_ms=spent.duration_ms + more.duration_ms,
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is other is None else (one or 0) + (other or 0)


def _compared(budget: Budget, spent: Spent) -> Iterator[tuple[float, float, str]]:
    if budget.input_tokens is not None and spent.input_tokens is not None:
        words = f"{spent.input_tokens} of {budget.input_tokens} input tokens are used"
        yield spent.input_tokens, budget.input_tokens, words
    if budget.output_tokens is not None and spent.output_tokens is not None:
        words = f"{spent.output_tokens} of {budget.output_tokens} output tokens are used"
        yield spent.output_tokens, budget.output_tokens, words
    if budget.cost_usd is not None and spent.cost_usd is not None:
        yield spent.cost_usd, budget.cost_usd, f"{spent.cost_usd:.4g} of {budget.cost_usd:.4g} USD are spent"
    if budget.duration_s is not None:
        worked_s = spent.duration_ms / 1000
        yield worked_s, budget.duration_s, f"{worked_s:.0f} of {budget.duration_s} s of work are used"
