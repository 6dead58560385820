"""What is added up in memory is what the record says, whenever it is looked at."""

import random
from collections.abc import Callable
from functools import partial

import pytest

from local_daemon.attempts import services as attempts
from local_daemon.attempts.records import Attempt
from local_daemon.protocol import ids, specs
from local_daemon.runs.records import Run
from local_daemon.usage import ledger, selectors
from local_daemon.usage.records import Spent, Working
from tests.record import Record

Stage = Callable[[Record, Attempt], object]


@pytest.fixture
def run(record: Record) -> Run:
    return record.run(record.repository())


def begin(record: Record, run: Run) -> Attempt:
    return record.lease(record.step(run))


def end(record: Record, attempt: Attempt, usage: specs.Usage | None = None) -> None:
    record.collect(attempt, usage=usage or specs.Usage())


def give_up(record: Record, attempt: Attempt) -> None:
    record.write(lambda tx: attempts.attempt_abandoned(tx, attempt_id=attempt.attempt_id, epoch=1, failure=None))


def on_record(record: Record, run_id: ids.RunId) -> tuple[Spent, set[Working]]:
    scope = selectors.of_run(run_id)
    return selectors.spent(record.connection, scope, now=record.now), set(selectors.working(record.connection, scope))


def looked(record: Record, book: ledger.Ledger) -> tuple[Spent, set[Working]]:
    spent, working = book.look(record.connection, now=record.now)
    return spent, set(working)


def test_every_look_says_what_the_record_says(record: Record, run: Run) -> None:
    """Attempts of this run and of another begin, work and end in any order."""
    chance = random.Random(7)
    other = record.run(record.repository("/other"))
    books = {each.run_id: ledger.Ledger(run_id=each.run_id) for each in (run, other)}
    stages: list[tuple[Attempt, list[Stage]]] = []
    for _ in range(120):
        record.pass_time(chance.randrange(10))
        if chance.random() < 0.4 or not stages:
            usage = specs.Usage(output_tokens=chance.choice([None, 5, 9]), cost_usd=chance.choice([None, 0.25]))
            worked: list[Stage] = [Record.start, Record.exit, partial(end, usage=usage)]
            ways: list[list[Stage]] = [worked, [Record.start, give_up], [give_up]]
            left = chance.choice(ways)
            stages.append((begin(record, chance.choice([run, other])), left))
        else:
            attempt, left = chance.choice(stages)
            left.pop(0)(record, attempt)
            stages = [stage for stage in stages if stage[1]]
        if chance.random() < 0.7:
            watched = chance.choice([run, other]).run_id
            assert looked(record, books[watched]) == on_record(record, watched)
    assert on_record(record, run.run_id)[0].output_tokens


def test_what_has_ended_is_not_read_again(record: Record, run: Run) -> None:
    first = begin(record, run)
    record.start(first)
    record.exit(first)
    end(record, first, specs.Usage(output_tokens=5))
    book = ledger.Ledger(run_id=run.run_id)
    before = looked(record, book)
    record.write(lambda tx: tx.execute("UPDATE attempts SET usage = '{\"output_tokens\": 7}'"))
    second = begin(record, run)
    record.start(second)
    spent, working = looked(record, book)
    assert (spent.output_tokens, before[0].output_tokens) == (5, 5)
    assert working == {Working(attempt_id=second.attempt_id, is_timed=True)}
