"""What an attempt may still use: the budgets of its task, of its policies and of its run, held against the record.

Before a start, while it works, and after its end. What executors report while they work is read from their output as it
grows; time is the daemon's own. Called by `loop`, `execution` and `conclusion`.
Tests: tests/integration/daemon/test_budgets.py, tests/unit/daemon/scheduler/test_spending.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from local_daemon.protocol import specs, states
from local_daemon.protocol.policies import Budget, Reaction
from local_daemon.runs import selectors as runs
from local_daemon.scheduler import workshop
from local_daemon.steps import selectors as steps
from local_daemon.storage.database import Connection
from local_daemon.usage import budgets
from local_daemon.usage import selectors as usage
from local_daemon.usage.records import Spent


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One budget and what is used of it. A `hard` one stops work; any other lets it end and then waits."""

    whose: str
    budget: Budget
    spent: Spent
    is_hard: bool = True

    def failure(self, words: str) -> specs.Failure:
        """What a step fails with that has used it up."""
        return specs.Failure(
            kind=states.FailureKind.POLICY,
            cause=states.FailureCause.BUDGET,
            detail=f"the {self.whose}'s budget is used up: {words}",
        )


def accounts_open(conn: Connection, *, step_id: str, run_id: str, now: datetime) -> tuple[Account, ...]:
    """Every budget that holds for the step, and what is used of it. Nothing is added up where there is none."""
    policies = steps.step_policies(conn, step_id)
    own = [Account(whose="step", budget=steps.step_budget(conn, step_id), spent=Spent())]
    own += [
        Account(whose="policy", budget=policy.budget, spent=Spent(), is_hard=policy.budget.then is Reaction.FAIL)
        for policy in policies
    ]
    found = [account for account in own if account.budget.is_set]
    if found:
        spent = usage.step_spent(conn, step_id, now=now)
        found = [_with(account, spent) for account in found]
    budget = runs.run_load(conn, run_id).budget
    if budget.is_set:
        found.append(Account(whose="run", budget=budget, spent=usage.run_spent(conn, run_id, now=now)))
    return tuple(found)


def start_refused(accounts: tuple[Account, ...]) -> specs.Failure | None:
    """Why nothing more may start; None where something of every budget is left."""
    for account in accounts:
        words = budgets.used_up(account.budget, account.spent)
        if words is not None:
            return account.failure(words)
    return None


def time_left(accounts: tuple[Account, ...]) -> tuple[float, specs.Failure] | None:
    """How long the executor may work, and what the step fails with when it does not end by then."""
    limits = []
    for account in accounts:
        seconds = budgets.seconds_left(account.budget, account.spent)
        if seconds is not None and account.is_hard:
            words = f"all {account.budget.duration_s} s of work are used"
            limits.append((seconds, account.failure(words)))
    return min(limits, key=lambda limit: limit[0], default=None)


def work_stopped(accounts: tuple[Account, ...], so_far: specs.Usage) -> specs.Failure | None:
    """Why the attempt has to be stopped that has used so much by now, besides what was used before it."""
    more = Spent(input_tokens=so_far.input_tokens, output_tokens=so_far.output_tokens, cost_usd=so_far.cost_usd)
    for account, words in _exceeded(accounts, more):
        if account.is_hard:
            return account.failure(words)
    return None


def overspent(accounts: tuple[Account, ...]) -> tuple[specs.Failure | None, str | None]:
    """What the record says after an attempt's end: what its step fails with, and what it waits for a look with."""
    failure, gate = None, None
    for account, words in _exceeded(accounts, Spent()):
        if account.is_hard:
            failure = failure or account.failure(words)
        else:
            gate = gate or f"The {account.whose}'s budget is used up: {words}."
    return failure, gate


def is_metered(accounts: tuple[Account, ...]) -> bool:
    """Whether what the executor reports while it works matters."""
    return any(
        account.is_hard
        and (account.budget.input_tokens, account.budget.output_tokens, account.budget.cost_usd) != (None, None, None)
        for account in accounts
    )


def lease_accounts(shop: workshop.Workshop, lease: workshop.Lease, *, now: datetime) -> tuple[Account, ...]:
    """The budgets of a leased step, as the record has them now."""
    return shop.database.read(
        lambda conn: accounts_open(conn, step_id=lease.step.step_id, run_id=lease.step.run_id, now=now)
    )


def _with(account: Account, spent: Spent) -> Account:
    return Account(whose=account.whose, budget=account.budget, spent=spent, is_hard=account.is_hard)


def _exceeded(accounts: tuple[Account, ...], more: Spent) -> Iterator[tuple[Account, str]]:
    for account in accounts:
        words = budgets.exceeded(account.budget, budgets.added(account.spent, more))
        if words is not None:
            yield account, words
