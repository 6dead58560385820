"""What an attempt may still use: the budgets of its task, of its policies and of its run, held against the record.

Before a start, while it works, and after its end. What executors report while they work is `metering`'s to read; time
is the daemon's own. Called by `loop`, `execution`, `metering` and `conclusion`.
Tests: tests/integration/daemon/test_budgets.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from local_daemon.protocol import ids, specs, states
from local_daemon.protocol.policies import Budget, Reaction
from local_daemon.runs import selectors as runs
from local_daemon.scheduler import workshop
from local_daemon.steps import selectors as steps
from local_daemon.storage.database import Connection
from local_daemon.usage import budgets
from local_daemon.usage import selectors as usage
from local_daemon.usage.ledger import Ledger
from local_daemon.usage.records import Spent, Working

_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One budget and what is used of it, by attempts at work too. A `hard` one stops work; any other lets it end and
    then waits. `working` counts those whose time it pays for now."""

    whose: str
    budget: Budget
    spent: Spent
    is_hard: bool = True
    working: int = 1

    def failure(self, words: str) -> specs.Failure:
        """What a step fails with that has used it up."""
        return specs.Failure(
            kind=states.FailureKind.POLICY,
            cause=states.FailureCause.BUDGET,
            detail=f"the {self.whose}'s budget is used up: {words}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sum:
    """What some attempts had used when it was read, and those that were at work then."""

    spent: Spent
    working: tuple[Working, ...]

    def by_now(self, *, elapsed: timedelta, told: Mapping[ids.AttemptId, Spent]) -> Spent:
        """With what they have told, and the time that has gone by since."""
        timed = sum(each.is_timed for each in self.working)
        spent = replace(self.spent, duration_ms=self.spent.duration_ms + round(timed * elapsed / _MS))
        for each in self.working:
            if each.attempt_id in told:
                spent = budgets.added(spent, told[each.attempt_id])
        return spent


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The budgets that hold for a step, and what was on record when they were read: good until something is committed.
    Nothing is added up where there is no budget."""

    read_at: datetime
    own: tuple[Account, ...]
    step: _Sum | None
    run_budget: Budget
    run: _Sum | None

    def accounts(
        self, *, now: datetime, told: Mapping[ids.AttemptId, Spent] = MappingProxyType({})
    ) -> tuple[Account, ...]:
        """Every budget, and what is used of it: on record, and by what attempts at work have `told`."""
        elapsed = max(timedelta(), now - self.read_at)
        found = []
        if self.step is not None:
            spent = self.step.by_now(elapsed=elapsed, told=told)
            found = [replace(account, spent=spent) for account in self.own]
        if self.run is not None:
            spent = self.run.by_now(elapsed=elapsed, told=told)
            working = max(1, len(self.run.working))
            found.append(Account(whose="run", budget=self.run_budget, spent=spent, working=working))
        return tuple(found)


def books_open(conn: Connection, *, step_id: str, run_id: str, now: datetime, ledger: Ledger | None = None) -> Books:
    """The books of a step, as the record is now; with the run's `ledger`, only what is new of the run is read."""
    own = [Account(whose="step", budget=steps.step_budget(conn, step_id), spent=Spent())]
    own += [
        Account(whose="policy", budget=policy.budget, spent=Spent(), is_hard=policy.budget.then is Reaction.FAIL)
        for policy in steps.step_policies(conn, step_id)
    ]
    own = [account for account in own if account.budget.is_set]
    step, run = None, None
    if own:
        step = _on_record(conn, usage.of_step(step_id), now=now)
    run_budget = runs.run_load(conn, run_id).budget
    if run_budget.is_set:
        if ledger is None:
            run = _on_record(conn, usage.of_run(run_id), now=now)
        else:
            spent, working = ledger.look(conn, now=now)
            run = _Sum(spent=spent, working=working)
    return Books(read_at=now, own=tuple(own), step=step, run_budget=run_budget, run=run)


def _on_record(conn: Connection, scope: usage.Scope, *, now: datetime) -> _Sum:
    return _Sum(spent=usage.spent(conn, scope, now=now), working=usage.working(conn, scope))


def accounts_open(
    conn: Connection,
    *,
    step_id: str,
    run_id: str,
    now: datetime,
    told: Mapping[ids.AttemptId, Spent] = MappingProxyType({}),
) -> tuple[Account, ...]:
    """Every budget that holds for the step, and what is used of it: on record, and by what attempts at work have
    `told`."""
    return books_open(conn, step_id=step_id, run_id=run_id, now=now).accounts(now=now, told=told)


def start_refused(accounts: tuple[Account, ...]) -> specs.Failure | None:
    """Why nothing more may start; None where something of every budget is left."""
    for account in accounts:
        words = budgets.used_up(account.budget, account.spent)
        if words is not None:
            return account.failure(words)
    return None


def seconds_left(accounts: tuple[Account, ...]) -> float | None:
    """How long it takes at least until the time of some hard budget is used up; None where none limits time."""
    limits = [
        seconds / account.working
        for account in accounts
        if account.is_hard and (seconds := budgets.seconds_left(account.budget, account.spent)) is not None
    ]
    return min(limits, default=None)


def dollars_left(accounts: tuple[Account, ...]) -> float | None:
    """What may still be spent by all the hard budgets; None where none limits it."""
    limits = [
        account.budget.cost_usd - (account.spent.cost_usd or 0.0)
        for account in accounts
        if account.is_hard and account.budget.cost_usd is not None
    ]
    return max(0.0, min(limits)) if limits else None


def work_stopped(accounts: tuple[Account, ...]) -> specs.Failure | None:
    """Why the work that goes on has to be stopped now."""
    for account in accounts:
        if account.is_hard and budgets.seconds_left(account.budget, account.spent) == 0:
            return account.failure(f"all {account.budget.duration_s} s of work are used")
    failure, _ = overspent(accounts)
    return failure


def overspent(accounts: tuple[Account, ...]) -> tuple[specs.Failure | None, str | None]:
    """What the record says after an attempt's end: what its step fails with, and what it waits for a look with."""
    failure, gate = None, None
    for account in accounts:
        words = budgets.exceeded(account.budget, account.spent)
        if words is None:
            continue
        if account.is_hard:
            failure = failure or account.failure(words)
        else:
            gate = gate or f"The {account.whose}'s budget is used up: {words}."
    return failure, gate


def is_bounded(accounts: tuple[Account, ...]) -> bool:
    """Whether what the executor uses while it works matters."""
    return any(account.is_hard for account in accounts)


def lease_accounts(
    shop: workshop.Workshop,
    lease: workshop.Lease,
    *,
    now: datetime,
    told: Mapping[ids.AttemptId, Spent] = MappingProxyType({}),
) -> tuple[Account, ...]:
    """The budgets of a leased step, as they stand now."""
    ledger = shop.meters.ledger(lease.step.run_id)
    return lease_books(shop, lease, now=now, ledger=ledger).accounts(now=now, told=told)


def lease_books(shop: workshop.Workshop, lease: workshop.Lease, *, now: datetime, ledger: Ledger) -> Books:
    """The books of a leased step, as the record is now."""
    step_id, run_id = lease.step.step_id, lease.step.run_id
    return shop.database.read(lambda conn: books_open(conn, step_id=step_id, run_id=run_id, now=now, ledger=ledger))
