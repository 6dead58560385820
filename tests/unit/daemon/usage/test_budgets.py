"""A budget is hard, and says with its numbers what is used up."""

import pytest

from local_daemon.protocol.policies import Budget
from local_daemon.usage import budgets
from local_daemon.usage.records import Spent


@pytest.mark.parametrize(
    ("budget", "spent", "words"),
    [
        (Budget(output_tokens=10), Spent(output_tokens=10), "10 of 10 output tokens are used"),
        (Budget(input_tokens=5), Spent(input_tokens=6), "6 of 5 input tokens are used"),
        (Budget(cost_usd=0.5), Spent(cost_usd=0.5), "0.5 of 0.5 USD are spent"),
        (Budget(duration_s=3), Spent(duration_ms=3000), "3 of 3 s of work are used"),
    ],
)
def test_what_is_used_up_is_said(budget: Budget, spent: Spent, words: str) -> None:
    assert budgets.used_up(budget, spent) == words


def test_unknown_usage_is_not_held_against_a_budget() -> None:
    assert budgets.used_up(Budget(cost_usd=0.01, output_tokens=1), Spent(attempts=3, unreported=3)) is None


def test_a_budget_kept_to_the_last_token_is_not_exceeded() -> None:
    assert budgets.exceeded(Budget(output_tokens=10), Spent(output_tokens=10)) is None
    assert budgets.exceeded(Budget(output_tokens=10), Spent(output_tokens=11)) == "11 of 10 output tokens are used"


def test_time_left_never_falls_below_nothing() -> None:
    assert budgets.seconds_left(Budget(duration_s=2), Spent(duration_ms=500)) == 1.5
    assert budgets.seconds_left(Budget(duration_s=2), Spent(duration_ms=9000)) == 0
    assert budgets.seconds_left(Budget(), Spent()) is None


def test_sums_keep_unknown_apart_from_zero() -> None:
    both = budgets.added(Spent(input_tokens=1), Spent(output_tokens=2, cost_usd=0.0))
    assert (both.input_tokens, both.output_tokens, both.cost_usd, both.cached_input_tokens) == (1, 2, 0.0, None)
