"""Handlers of applications: a result onto a branch, agreed to by its digest.

What will be done is on record before git is touched, so a daemon that dies in between is asked again and finds out
whether it had happened. Called by `registry`. Tests: tests/integration/daemon/test_applying.py.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime
from weakref import WeakValueDictionary

from pydantic import BaseModel

from local_daemon.applications import selectors, services
from local_daemon.applications.records import Application
from local_daemon.attempts import selectors as attempts
from local_daemon.attempts.records import Attempt
from local_daemon.gates import selectors as gates
from local_daemon.operations import remembered
from local_daemon.operations.context import Call, OperationContext
from local_daemon.protocol import applications as application_messages
from local_daemon.protocol import errors
from local_daemon.protocol.policies import Reaction
from local_daemon.protocol.states import ApplicationEvent, StepState
from local_daemon.repositories import selectors as repositories
from local_daemon.repositories.records import Repository
from local_daemon.steps import selectors as steps
from local_daemon.steps.records import Step
from local_daemon.storage import database
from local_daemon.storage.transaction import Transaction
from local_daemon.worktrees import applying, folder_applying, git

logger = logging.getLogger(__name__)

_NONE: tuple[str, ...] = ()
_repository_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """A step's result as far as applying it cares."""

    step: Step
    attempt: Attempt
    repository: Repository
    digest: str
    base_commit: str
    head_commit: str


async def step_apply(context: OperationContext, call: Call) -> BaseModel:
    """Bring the step's result onto a branch, or say why not and change nothing."""
    lock = _repository_locks.setdefault(call.repository_id, asyncio.Lock())
    async with lock:
        now = database.utc_now()
        known = context.database.read(lambda conn: remembered.recall(conn, call, now=now))
        if known is None:
            await _unfinished_finish(context, call.repository_id)
            return await _apply(context, call)
        # Kept when it was planned; it may have ended since, or is brought to its end now.
        answer = _answered(known)
        await _unfinished_finish(context, call.repository_id)
        return _ended(context, answer)


async def applications_finish(context: OperationContext) -> None:
    """Bring to its end, while the daemon starts, what its last life had planned: carried out if it can be and was not,
    else refused with the reason. What is planned in a repository that a person has to look at first stays so."""
    for repository_id in context.database.read(selectors.repositories_with_planned):
        try:
            async with _repository_locks.setdefault(repository_id, asyncio.Lock()):
                await _unfinished_finish(context, repository_id)
        except Exception:  # the outermost frame of its task; what one repository can't have, others can
            logger.exception("planned applications left", extra={"event": "application.left"})


async def _apply(context: OperationContext, call: Call) -> BaseModel:
    try:
        result = _result(context, call)
    except errors.RopewayError as error:
        return await _turn_away(context, call, error)
    body = call.body_as(application_messages.StepApply)
    mode = applying.Mode(body.mode)
    try:
        plan = await _plan(context, result, mode=mode, branch=body.branch)
    except applying.Refused as refusal:
        return await _refuse(context, call, result, refusal)

    def record(tx: Transaction) -> BaseModel:
        done = selectors.application_applied(tx.connection, result.attempt.attempt_id, mode=mode, branch=plan.branch)
        if plan.is_done and done is not None:
            return _answer(done, created=False)
        planned = services.application_record(
            tx,
            step=result.step,
            attempt_id=result.attempt.attempt_id,
            mode=mode,
            branch=plan.branch,
            digest=result.digest,
            before_commit=plan.before,
            after_commit=plan.after,
            requested_by=call.actor,
            comment=body.comment,
        )
        return _answer(planned, created=True)

    change = remembered.once(call, record)
    answer = _answered(await context.database.write("application_plan", change, call_id=call.call_id))
    if answer.created:
        await _finish(context, _application(context, answer), result.repository)
    return _ended(context, answer)


async def _refuse(context: OperationContext, call: Call, result: _Result, refusal: applying.Refused) -> BaseModel:
    body = call.body_as(application_messages.StepApply)

    def record(tx: Transaction) -> BaseModel:
        refused = services.application_record(
            tx,
            step=result.step,
            attempt_id=result.attempt.attempt_id,
            mode=body.mode,
            branch=refusal.branch or body.branch or (folder_applying.BRANCH if result.repository.is_folder else "HEAD"),
            digest=result.digest,
            before_commit=None,
            after_commit=None,
            requested_by=call.actor,
            comment=body.comment,
            refusal=refusal.reason,
            conflicts=refusal.paths,
        )
        return _answer(refused, created=True)

    return await _refusal_keep(context, call, record)


async def _turn_away(context: OperationContext, call: Call, error: errors.RopewayError) -> BaseModel:
    """Raises the error, which is this call's answer from now on, also where it would be carried out by then."""

    def fail(tx: Transaction) -> BaseModel:
        raise error

    return await _refusal_keep(context, call, fail)


async def _refusal_keep(
    context: OperationContext, call: Call, refuse: remembered.Change
) -> application_messages.ApplicationAnswer:
    change = remembered.once(call, refuse)
    return _answered(await context.database.write("application_refuse", change, call_id=call.call_id))


async def _unfinished_finish(context: OperationContext, repository_id: str) -> None:
    """Bring to its end what an earlier life of the daemon had planned."""
    planned = context.database.read(lambda conn: selectors.applications_planned(conn, repository_id))
    if planned and not context.database.read(lambda conn: steps.repository_is_held(conn, repository_id)):
        repository = context.database.read(lambda conn: repositories.repository_get(conn, repository_id))
        for application in planned:
            await _finish(context, application, repository)


async def _plan(
    context: OperationContext, result: _Result, *, mode: applying.Mode, branch: str | None
) -> applying.Plan:
    """What will be done, prepared and not done yet. Raises Refused."""
    if not result.repository.is_folder:
        return await applying.application_plan(
            result.repository.toplevel,
            trusted_root=context.trusted_root,
            mode=mode,
            branch=branch,
            base_commit=result.base_commit,
            head_commit=result.head_commit,
            message=_message(result),
            at=_made_at(result),
        )
    if branch is not None or mode is not applying.Mode.CHERRY_PICK:
        raise applying.Refused("a folder without git has no branches; name neither branch nor mode")
    return await folder_applying.folder_plan(
        result.repository.toplevel,
        git_root=result.repository.git_root,
        limits=context.folder_limits,
        base_commit=result.base_commit,
        head_commit=result.head_commit,
        message=_message(result),
        at=_made_at(result),
    )


async def _carry_out(
    context: OperationContext, application: Application, plan: applying.Plan, repository: Repository
) -> None:
    """Do what was planned; again is safe. Raises Refused."""
    if not repository.is_folder:
        await applying.application_carry_out(repository.toplevel, plan, trusted_root=context.trusted_root)
        return
    await folder_applying.folder_carry_out(
        repository.toplevel,
        plan,
        git_root=repository.git_root,
        limits=context.folder_limits,
        at=application.requested_at,
    )


async def _finish(context: OperationContext, application: Application, repository: Repository) -> None:
    event, reason, conflicts = ApplicationEvent.CARRIED_OUT, "", _NONE
    plan = applying.Plan(
        branch=application.branch, before=application.before_commit, after=application.after_commit or ""
    )
    try:
        await _carry_out(context, application, plan, repository)
    except applying.Refused as refusal:
        event, reason, conflicts = ApplicationEvent.REFUSED, refusal.reason, refusal.paths
    except git.GitFailed as error:
        event, reason = ApplicationEvent.REFUSED, str(error)
    await context.database.write(
        "application_end",
        lambda tx: services.application_end(
            tx, application_id=application.application_id, event=event, reason=reason, conflicts=conflicts
        ),
    )


def _result(context: OperationContext, call: Call) -> _Result:
    """What is to be applied. Raises NotFound, InvalidTransition, StaleApproval, Forbidden."""
    body = call.body_as(application_messages.StepApply)

    def query(conn: database.Connection) -> _Result:
        step = steps.step_get(conn, call.step_id, repository_id=call.repository_id)
        attempt = attempts.attempt_newest(conn, step.step_id)
        if step.state is not StepState.COMPLETED:
            raise errors.InvalidTransition(
                f"A step that is {step.state} is not applied; only a completed one is.", state=str(step.state)
            )
        digest = None if attempt is None else attempt.patch_sha256
        if attempt is None or digest is None or attempt.base_commit is None or attempt.head_commit is None:
            raise errors.InvalidTransition("This step left no changes on record to apply.", step_id=step.step_id)
        if body.digest != digest:
            raise errors.StaleApproval(step_id=step.step_id, digest=digest)
        _policy_require(conn, step, digest)
        if steps.repository_is_held(conn, step.repository_id):
            raise errors.InvalidTransition("A step of this repository needs attention first; resolve it, then apply.")
        return _Result(
            step=step,
            attempt=attempt,
            repository=repositories.repository_working(conn, step.repository_id),
            digest=digest,
            base_commit=attempt.base_commit,
            head_commit=attempt.head_commit,
        )

    return context.database.read(query)


def _policy_require(conn: database.Connection, step: Step, digest: str) -> None:
    """Raises InvalidTransition where a policy lets no result, or none that a gate did not approve, reach a branch."""
    reactions = {policy.apply for policy in steps.step_policies(conn, step.step_id)}
    if Reaction.FAIL in reactions:
        raise errors.InvalidTransition("A policy lets no result of this repository be applied from here.")
    if Reaction.GATE in reactions and not gates.is_approved(conn, step.step_id, digest=digest):
        raise errors.InvalidTransition(
            "A policy lets only changes be applied that a gate has approved; submit with gates.after = always."
        )


def _message(result: _Result) -> str:
    return f"{result.step.title}\n\nRopeway-Step: {result.step.step_id}\nRopeway-Patch: {result.digest}\n"


def _made_at(result: _Result) -> datetime:
    # Of the result, not of this call: whoever asks again makes the same commit.
    return result.attempt.ended_at or result.attempt.leased_at


def _answer(application: Application, *, created: bool) -> application_messages.ApplicationAnswer:
    return application_messages.ApplicationAnswer(application=selectors.application_view(application), created=created)


def _answered(outcome: remembered.Outcome) -> application_messages.ApplicationAnswer:
    """The answer as it was when it was put on record; raises the error if the call ended in one."""
    answer = remembered.answered(outcome)
    if not isinstance(answer, application_messages.ApplicationAnswer):
        raise TypeError(type(answer).__name__)
    return answer


def _application(context: OperationContext, answer: application_messages.ApplicationAnswer) -> Application:
    return context.database.read(lambda conn: selectors.application_get(conn, answer.application.application_id))


def _ended(
    context: OperationContext, answer: application_messages.ApplicationAnswer
) -> application_messages.ApplicationAnswer:
    """The answer, its application as it stands by now."""
    return _answer(_application(context, answer), created=answer.created)
