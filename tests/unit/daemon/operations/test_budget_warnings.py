"""Whoever submits work is told of each budget that its executor can't be stopped by, and the work is taken all the
same."""

from dataclasses import replace
from typing import Any

import pytest

from local_daemon.protocol import messages, policies
from local_daemon.protocol.ids import IdPrefix, new_id
from local_daemon.protocol.states import BudgetHold
from tests.unit.daemon.operations.conftest import Desk

DOLLARS = {"cost_usd": 1.0}


@pytest.fixture
def spender(desk: Desk) -> Desk:
    """A desk whose executors spend: `fake` tells its tokens at its end and its dollars never, `open` both at once."""
    holds = {"fake": (BudgetHold.END, BudgetHold.NEVER), "open": (BudgetHold.LIVE, BudgetHold.LIVE)}
    executors = tuple(
        messages.ExecutorView(
            name=name, is_available=True, budgets=messages.BudgetsView(tokens=tokens, cost_usd=cost_usd)
        )
        for name, (tokens, cost_usd) in holds.items()
    )
    view = desk.context.instance_view().model_copy(update={"executors": executors})
    desk.context = replace(desk.context, instance_view=lambda: view)
    return desk


async def submitted(desk: Desk, run_id: str, *, call_id: str | None = None, **task: Any) -> messages.StepAnswer:
    body = {"task": {"goal": "g", "executor": "fake", **task}}
    answer = await desk.call("steps.submit", run_id=run_id, body=body, call_id=call_id)
    assert isinstance(answer, messages.StepAnswer)
    return answer


async def test_a_steps_own_budget_is_told_of_each_time_the_call_is_answered(spender: Desk) -> None:
    run_id, call_id = await spender.run_id(), new_id(IdPrefix.CALL)
    answer = await submitted(spender, run_id, call_id=call_id, budget={"output_tokens": 5, **DOLLARS})
    assert answer.step.state == "queued"
    assert [warning.partition(";")[0] for warning in answer.warnings] == [
        "the step's budget of tokens can't stop fake while it works: it tells what it used at its end only",
        "the step's budget of dollars does not hold with fake: it does not tell what it used",
    ]
    assert await submitted(spender, run_id, call_id=call_id, budget={"output_tokens": 5, **DOLLARS}) == answer


async def test_where_the_executor_tells_in_time_nothing_is_said(spender: Desk) -> None:
    answer = await submitted(spender, await spender.run_id(), executor="open", budget=DOLLARS)
    assert answer.warnings == ()


async def test_a_budget_of_the_run_and_one_of_a_policy_are_told_of_too(spender: Desk) -> None:
    operators = policies.Policy(budget=policies.StepBudget(cost_usd=2.0))
    spender.context = replace(spender.context, operator_policy=operators)
    run = (await spender.call("runs.create", body={"objective": "o", "budget": {"input_tokens": 9}})).run
    answer = await submitted(spender, run.run_id)
    assert [warning.partition("'")[0] for warning in answer.warnings] == ["the run", "the policy"]


async def test_an_executor_to_fall_back_to_is_told_of_too(spender: Desk) -> None:
    retry = {"max_attempts": 2, "on": ["executor"], "fallback": [{"executor": "fake"}]}
    answer = await submitted(spender, await spender.run_id(), executor="open", budget=DOLLARS, retry=retry)
    (warning,) = answer.warnings
    assert "does not hold with fake" in warning


async def test_of_a_manifest_each_is_told_with_its_step(spender: Desk) -> None:
    tasks = {"one": {"executor": "fake", "budget": DOLLARS}, "two": {"executor": "open", "budget": DOLLARS}}
    steps = [{"name": name, "task": {"goal": "g", **task}} for name, task in tasks.items()]
    answer = await spender.call("manifests.submit", body={"objective": "o", "steps": steps})
    assert [warning.partition(":")[0] for warning in answer.warnings] == ["one"]
    assert (await spender.call("manifests.get", run_id=answer.run.run_id)).warnings == ()


async def test_of_many_no_more_are_told_than_are_read(spender: Desk) -> None:
    steps = [{"name": f"n{n}", "task": {"goal": "g", "executor": "fake", "budget": DOLLARS}} for n in range(30)]
    answer = await spender.call("manifests.submit", body={"objective": "o", "steps": steps})
    assert (len(answer.warnings), answer.warnings[-1]) == (21, "and 10 more warnings")


async def test_a_turn_of_a_conversation_is_told_of_when_it_is_said(spender: Desk) -> None:
    begun = await spender.call("conversations.begin", body={"executor": "fake"})
    place = {"conversation_id": begun.conversation_id}
    said = await spender.call("conversations.say", **place, body={"text": "hello", "budget": DOLLARS})
    (warning,) = said.warnings
    assert "does not hold with fake" in warning
    assert (await spender.call("conversations.get", **place)).warnings == ()
