"""Usage through its operation: day by day, by UTC."""

from datetime import UTC, date, datetime, timedelta

import pytest

from local_daemon.attempts import services as attempts
from local_daemon.protocol import ids, messages
from local_daemon.storage import instants
from local_daemon.storage.transaction import Transaction
from tests.unit.daemon.operations.conftest import Desk


def today() -> date:
    return datetime.now(UTC).date()


async def tried(desk: Desk, run_id: str, began: datetime, *, tokens: int) -> messages.StepView:
    """A step of the run, of which one attempt began then and told that it used so many tokens."""
    step = await desk.submit(run_id)

    def apply(tx: Transaction) -> None:
        attempt = attempts.attempt_lease(
            tx,
            step_id=ids.StepId(step.step_id),
            run_id=ids.RunId(step.run_id),
            repository_id=ids.RepositoryId(step.repository_id),
            executor="fake",
            epoch=1,
        )
        tx.execute(
            "UPDATE attempts SET leased_at = ?, usage = json_object('output_tokens', ?) WHERE attempt_id = ?",
            (instants.instant_text(began), tokens, attempt.attempt_id),
        )

    await desk.context.database.write("test", apply)
    return step


@pytest.fixture
async def worked(desk: Desk) -> tuple[Desk, str, messages.StepView]:
    """A desk, and a run with attempts on three days, of which one is its last step's."""
    run_id = await desk.run_id()
    noon = datetime.now(UTC).replace(hour=12, minute=0)
    for days, tokens in ((9, 1), (4, 20), (4, 300)):
        await tried(desk, run_id, noon - timedelta(days=days), tokens=tokens)
    return desk, run_id, await tried(desk, run_id, noon - timedelta(days=2), tokens=4000)


async def test_each_day_on_which_an_attempt_began_is_told_the_oldest_first(
    worked: tuple[Desk, str, messages.StepView],
) -> None:
    desk, run_id, step = worked
    first, second, third = (on for on in (await desk.call("usage.get", query={"days": 31, "by": "day"})).by_day)
    assert [on.spent.output_tokens for on in (first, second, third)] == [1, 320, 4000]
    assert [on.spent.attempts for on in (first, second, third)] == [1, 2, 1]
    days = [date.fromisoformat(on.day) for on in (first, second, third)]
    assert (days[1] - days[0], days[2] - days[1]) == (timedelta(days=5), timedelta(days=2))
    of_run = await desk.call("usage.get", query={"run_id": run_id, "by": "day"})
    assert of_run.by_day == (first, second, third)
    of_step = await desk.call("usage.get", query={"step_id": step.step_id, "by": "day"})
    assert of_step.by_day == (third,)


async def test_by_day_the_days_are_whole_and_today_is_the_last(worked: tuple[Desk, str, messages.StepView]) -> None:
    desk, _, _ = worked
    before = today()
    view = await desk.call("usage.get", query={"days": 6, "by": "day"})
    after = today()
    assert view.since.time().isoformat() == "00:00:00"
    assert before <= view.since.date() + timedelta(days=5) <= after
    assert view.spent.output_tokens == sum(on.spent.output_tokens for on in view.by_day) == 4320


async def test_who_does_not_ask_by_day_is_told_of_no_day(worked: tuple[Desk, str, messages.StepView]) -> None:
    desk, run_id, _ = worked
    for query in ({}, {"days": 31}, {"run_id": run_id}, {"run_id": run_id, "by": "model"}):
        assert (await desk.call("usage.get", query=query)).by_day == ()
