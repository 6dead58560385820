"""What is said of a budget that an executor can't be stopped by."""

import pytest

from local_daemon.protocol.messages import BudgetsView
from local_daemon.protocol.policies import Budget
from local_daemon.protocol.states import BudgetHold
from local_daemon.usage import holding

ALL = Budget(input_tokens=10, output_tokens=10, cost_usd=1.0, duration_s=60)


def said(budget: Budget, *, tokens: BudgetHold, cost_usd: BudgetHold) -> list[str]:
    held = BudgetsView(tokens=tokens, cost_usd=cost_usd)
    return list(holding.unheld(budget, whose="step", executor="codex", held=held))


@pytest.mark.parametrize("hold", [BudgetHold.LIVE, BudgetHold.ITSELF])
def test_of_a_budget_that_stops_its_executor_nothing_is_said(hold: BudgetHold) -> None:
    assert said(ALL, tokens=hold, cost_usd=hold) == []


def test_an_executor_that_tells_at_its_end_is_told_from_one_that_never_does() -> None:
    assert said(ALL, tokens=BudgetHold.END, cost_usd=BudgetHold.NEVER) == [
        "the step's budget of tokens can't stop codex while it works: it tells what it used at its end only; "
        "a budget of time (duration_s) holds",
        "the step's budget of dollars does not hold with codex: it does not tell what it used; "
        "a budget of time (duration_s) holds",
    ]


@pytest.mark.parametrize("budget", [Budget(), Budget(duration_s=60), Budget(input_tokens=1)])
def test_nothing_is_said_of_what_is_not_limited(budget: Budget) -> None:
    assert said(budget, tokens=BudgetHold.LIVE, cost_usd=BudgetHold.NEVER) == []


@pytest.mark.parametrize("budget", [Budget(input_tokens=1), Budget(output_tokens=1)])
def test_tokens_of_either_way_are_tokens(budget: Budget) -> None:
    (warning,) = said(budget, tokens=BudgetHold.NEVER, cost_usd=BudgetHold.LIVE)
    assert "budget of tokens" in warning


def test_with_one_that_uses_nothing_every_budget_holds() -> None:
    assert list(holding.unheld(ALL, whose="run", executor="patch", held=None)) == []
