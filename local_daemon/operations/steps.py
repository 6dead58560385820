"""Handlers of steps: submit, read, wait, cancel, retry, resolve.

Called by `registry`. Tests: tests/unit/daemon/operations/test_steps.py.
"""

import asyncio
import textwrap
from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from local_daemon.operations import rules
from local_daemon.operations.context import Call, OperationContext
from local_daemon.operations.remembered import answered, once
from local_daemon.protocol import errors, messages, specs
from local_daemon.protocol.policies import Budget, Policy
from local_daemon.protocol.states import STEP_SETTLED, StepState
from local_daemon.runs import selectors as run_selectors
from local_daemon.runs import services as runs
from local_daemon.steps import results, selectors, services, submissions
from local_daemon.steps.lifecycle import AT_WORK
from local_daemon.steps.records import Step
from local_daemon.storage import database, texts
from local_daemon.storage.transaction import Transaction
from local_daemon.usage import holding

_REASON_CHARACTERS = 80


async def step_submit(context: OperationContext, call: Call) -> BaseModel:
    """Queue one unit of work."""
    body = call.body_as(messages.StepSubmit)
    executors = executors_here(context)
    require_known_executor(executors, body.task)
    at_head = [body.task.policy] if body.task.base is None else []
    policies = await rules.policies_held(context, call.repository_id, at_head=at_head)

    def apply(tx: Transaction) -> BaseModel:
        run = run_selectors.run_get(tx.connection, call.run_id, repository_id=call.repository_id)
        step, created = runs.run_step_submit(tx, run_id=call.run_id, task=body.task, name=body.name, policies=policies)
        if created:
            submissions.submission_keep(tx, run_id=run.run_id, step_id=step.step_id, provenance=body.provenance)
        warnings = budget_warnings(executors, body.task, run=run.budget, policies=policies)
        return messages.StepAnswer(
            step=selectors.step_view(step), created=created, warnings=texts.warnings_cut(warnings)
        )

    answer = answered(await context.database.write("step_submit", once(call, apply), call_id=call.call_id))
    context.scheduler.wake()
    return answer


async def steps_list(context: OperationContext, call: Call) -> BaseModel:
    """A page of the run's steps."""
    asked = call.query_as(messages.StepListQuery)

    def query(conn: database.Connection) -> BaseModel:
        run_selectors.run_get(conn, call.run_id, repository_id=call.repository_id)
        steps, next_cursor = selectors.steps_list(
            conn, call.run_id, limit=asked.limit, cursor=asked.cursor, state=asked.state, order=asked.order
        )
        return messages.StepPage(items=tuple(selectors.step_view(step) for step in steps), next_cursor=next_cursor)

    return context.database.read(query)


async def step_get(context: OperationContext, call: Call) -> BaseModel:
    """One step."""
    return selectors.step_view(_step(context, call))


async def step_task(context: OperationContext, call: Call) -> BaseModel:
    """The TaskSpec of a step, as it was submitted."""
    step = _step(context, call)
    task = context.database.read(lambda conn: selectors.step_task(conn, step.step_id))
    held = context.database.read(lambda conn: selectors.step_policies(conn, step.step_id))
    return messages.TaskView(step_id=step.step_id, digest=step.task_digest, task=task, held_policies=held[1:])


async def step_wait(context: OperationContext, call: Call) -> BaseModel:
    """Hold the answer back until the step has settled or the time is over; commits wake it."""
    deadline = asyncio.get_running_loop().time() + call.query_as(messages.WaitQuery).timeout_s
    wake = context.database.wake
    while True:
        mark = wake.mark
        step = _step(context, call)
        if step.state in STEP_SETTLED:
            return messages.StepWait(step=selectors.step_view(step), timed_out=False)
        try:
            async with asyncio.timeout_at(deadline):
                await wake.wait_for_change(after=mark, topic=step.step_id)
        except TimeoutError:
            step = _step(context, call)
            return messages.StepWait(step=selectors.step_view(step), timed_out=step.state not in STEP_SETTLED)


async def step_result(context: OperationContext, call: Call) -> BaseModel:
    """What the step came to, at any time."""

    def query(conn: database.Connection) -> BaseModel:
        step = selectors.step_get(conn, call.step_id, repository_id=call.repository_id)
        return results.step_result(conn, step)

    return context.database.read(query)


async def step_cancel(context: OperationContext, call: Call) -> BaseModel:
    """Ask the step to end."""
    body = call.body_as(messages.CancelRequest)

    def apply(tx: Transaction) -> messages.StepAnswer:
        selectors.step_get(tx.connection, call.step_id, repository_id=call.repository_id)
        step = services.step_cancel_request(tx, step_id=call.step_id, reason=body.reason)
        runs.run_refresh(tx, run_id=step.run_id)
        return messages.StepAnswer(step=selectors.step_view(step))

    answer = answered(await context.database.write("step_cancel", once(call, apply), call_id=call.call_id))
    if _step(context, call).state in AT_WORK:
        context.scheduler.cancel(call.step_id)
    return answer


async def step_retry(context: OperationContext, call: Call) -> BaseModel:
    """Queue another attempt of a step that did not succeed; a failed run goes on with it."""

    def apply(tx: Transaction) -> BaseModel:
        selectors.step_get(tx.connection, call.step_id, repository_id=call.repository_id)
        step = services.step_retry(tx, step_id=call.step_id)
        runs.run_reopen(tx, run_id=step.run_id)
        return messages.StepAnswer(step=selectors.step_view(step))

    answer = answered(await context.database.write("step_retry", once(call, apply), call_id=call.call_id))
    context.scheduler.wake()
    return answer


async def step_resolve(context: OperationContext, call: Call) -> BaseModel:
    """A person's word on a step that needs attention."""
    body = call.body_as(messages.StepResolve)
    is_open = _step(context, call).state is StepState.NEEDS_ATTENTION
    kept_at = await context.scheduler.edits_record(call.step_id) if is_open else None

    def apply(tx: Transaction) -> BaseModel:
        selectors.step_get(tx.connection, call.step_id, repository_id=call.repository_id)
        step = services.step_resolve(
            tx, step_id=call.step_id, resolution=body.resolution, comment=body.comment, kept_at=kept_at
        )
        if body.resolution == "retry":
            runs.run_reopen(tx, run_id=step.run_id)
        else:
            runs.run_refresh(tx, run_id=step.run_id)
        return messages.StepAnswer(step=selectors.step_view(step))

    answer = answered(await context.database.write("step_resolve", once(call, apply), call_id=call.call_id))
    context.scheduler.wake()
    return answer


def _step(context: OperationContext, call: Call) -> Step:
    return context.database.read(lambda conn: selectors.step_get(conn, call.step_id, repository_id=call.repository_id))


def executors_here(context: OperationContext) -> Mapping[str, messages.ExecutorView]:
    """This machine's executors by name, as they were last seen."""
    return {executor.name: executor for executor in context.instance_view().executors}


def require_known_executor(executors: Mapping[str, messages.ExecutorView], task: specs.TaskSpec) -> None:
    """Raises InvalidRequest for an executor or profile that is not this machine's, in its fallback too."""
    others = [("retry.fallback.", other.executor, other.profile) for other in task.retry.fallback]
    for place, executor, profile in [("", task.executor, task.profile), *others]:
        if executor not in executors:
            usable = sorted(name for name, view in executors.items() if view.is_available)
            detail = f"{place}executor: this machine has no {executor}; it has {', '.join(usable) or 'none ready'}"
            raise errors.InvalidRequest(f"{detail}{_unusable(executors)}", executors=usable)
        profiles = executors[executor].profiles
        if profile is not None and profile not in profiles:
            detail = f"{place}profile: {executor} has no {profile} here; it has {', '.join(profiles) or 'none'}"
            raise errors.InvalidRequest(detail, profiles=list(profiles))


def _unusable(executors: Mapping[str, messages.ExecutorView]) -> str:
    """Those it knows and could not start now, and why not, in brief."""
    found = [
        f"{name} ({textwrap.shorten(view.reason or 'no reason told', _REASON_CHARACTERS, placeholder='…')})"
        for name, view in sorted(executors.items())
        if not view.is_available
    ]
    return f". Not ready here: {', '.join(found)}" if found else ""


def budget_warnings(
    executors: Mapping[str, messages.ExecutorView], task: specs.TaskSpec, *, run: Budget, policies: Sequence[Policy]
) -> list[str]:
    """What of the budgets that hold for the task its executors, its fallback's too, can't be stopped by."""
    judged_by = [("policy", policy.budget) for policy in (task.policy, *policies)]
    budgets = [(whose, budget) for whose, budget in (("step", task.budget), ("run", run), *judged_by) if budget.is_set]
    found = (
        warning
        for name in (task.executor, *(other.executor for other in task.retry.fallback))
        if name in executors
        for whose, budget in budgets
        for warning in holding.unheld(budget, whose=whose, executor=name, held=executors[name].budgets)
    )
    return list(dict.fromkeys(found))
