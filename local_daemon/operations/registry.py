"""From an operation's name to its handler, and the checks every call goes through first.

The one way into the record from outside: `http_api` calls it, and through that everybody else. It translates nothing;
errors leave it as the error table's own. Tests: tests/contract/test_handlers.py, tests/unit/daemon/operations/.
"""

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import BaseModel

from local_daemon.operations import (
    applications,
    artifacts,
    conversations,
    garbage,
    gates,
    identifiers,
    manifests,
    relocation,
    repositories,
    runs,
    step_record,
    steps,
    usage,
)
from local_daemon.operations.context import Answer, Call, Handler, OperationContext
from local_daemon.protocol import errors, ids, limits, origins
from local_daemon.protocol.operation import Operation, invalid_parameters

HANDLERS: Mapping[str, Handler] = MappingProxyType(
    {
        "instance.get": repositories.instance_get,
        "repositories.add": repositories.repository_add,
        "repositories.list": repositories.repositories_list,
        "repositories.get": repositories.repository_get,
        "repositories.relocate": relocation.repository_relocate,
        "repositories.forget": relocation.repository_forget,
        "ids.list": identifiers.ids_list,
        "runs.create": runs.run_create,
        "runs.list": runs.runs_list,
        "runs.get": runs.run_get,
        "manifests.submit": manifests.manifest_submit,
        "manifests.get": manifests.manifest_get,
        "runs.close": runs.run_close,
        "runs.cancel": runs.run_cancel,
        "steps.submit": steps.step_submit,
        "steps.list": steps.steps_list,
        "steps.get": steps.step_get,
        "steps.task": steps.step_task,
        "steps.wait": steps.step_wait,
        "steps.result": steps.step_result,
        "steps.cancel": steps.step_cancel,
        "steps.retry": steps.step_retry,
        "steps.resolve": steps.step_resolve,
        "steps.log": artifacts.step_log,
        "steps.apply": applications.step_apply,
        "applications.list": step_record.applications_list,
        "attempts.list": step_record.attempts_list,
        "validations.list": step_record.validations_list,
        "artifacts.list": step_record.artifacts_list,
        "artifacts.get": artifacts.artifact_get,
        "artifacts.content": artifacts.artifact_content,
        "gates.list": gates.gates_list,
        "gates.get": gates.gate_get,
        "gates.decide": gates.gate_decide,
        "conversations.begin": conversations.conversation_begin,
        "conversations.list": conversations.conversations_list,
        "conversations.get": conversations.conversation_get,
        "conversations.say": conversations.conversation_say,
        "conversations.undo": conversations.conversation_undo,
        "conversations.close": conversations.conversation_close,
        "usage.get": usage.usage_get,
        "garbage.collect": garbage.garbage_collect,
        "events.list": repositories.events_list,
    }
)
"""Exactly one handler for every operation of the table."""


async def call_operation(
    context: OperationContext,
    operation: Operation,
    *,
    parameters: Mapping[str, str],
    query: BaseModel | None,
    body: BaseModel | None,
    call_id: str | None,
    actor: str,
) -> Answer:
    """Carry one call out. `query` and `body` are of the operation's own models; without a query its defaults hold. The
    same `call_id` is answered the same way. Raises the error table's errors."""
    wrong = invalid_parameters(operation, parameters)
    if wrong:
        raise errors.InvalidRequest(
            "malformed path", errors=[{"field": name, "problem": "not an id of this kind"} for name in wrong]
        )
    if call_id is not None and not ids.is_id(ids.IdPrefix.CALL, call_id):
        raise errors.InvalidRequest("call id: malformed")
    if call_id is not None:
        # As every call from afar has one, and none of the command line.
        origins.nothing_told_require(body)
    call = Call(
        operation=operation,
        parameters=parameters,
        query=operation.query() if query is None and operation.query is not None else query,
        body=_body(operation, body),
        call_id=None if call_id is None else ids.CallId(call_id),
        actor=actor[: limits.TITLE_CHARACTERS],
    )
    return await HANDLERS[operation.name](context, call)


def _body(operation: Operation, body: BaseModel | None) -> BaseModel | None:
    if operation.request is None:
        return None
    if not isinstance(body, operation.request):
        raise errors.InvalidRequest(f"this operation takes a body: {operation.request.__name__}")
    return body
