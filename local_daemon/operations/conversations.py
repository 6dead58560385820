"""Handlers of conversations.

Called by `registry`. Tests: tests/integration/daemon/test_conversations.py.
"""

from typing import Any

from pydantic import BaseModel, ValidationError

from local_daemon.conversations import selectors, services
from local_daemon.conversations.records import Conversation
from local_daemon.operations import rules, steps
from local_daemon.operations.context import Call, OperationContext
from local_daemon.operations.remembered import answered, once
from local_daemon.protocol import conversations as conversation_messages
from local_daemon.protocol import errors, faults, messages, specs
from local_daemon.protocol.policies import Budget, Policy
from local_daemon.repositories import selectors as repositories
from local_daemon.storage import database, texts
from local_daemon.storage.transaction import Transaction


async def conversation_begin(context: OperationContext, call: Call) -> BaseModel:
    """Begin a talk with one executor."""
    body = call.body_as(conversation_messages.ConversationBegin)
    opening = _task(goal="talk", executor=body.executor, profile=body.profile, base=body.base)
    steps.require_known_executor(steps.executors_here(context), opening)

    def apply(tx: Transaction) -> BaseModel:
        repositories.repository_get(tx.connection, call.repository_id)
        begun = services.conversation_begin(
            tx,
            repository_id=call.repository_id,
            executor=body.executor,
            profile=body.profile,
            title=body.title,
            base=body.base,
        )
        return selectors.conversation_view(tx.connection, begun)

    return answered(await context.database.write("conversation_begin", once(call, apply), call_id=call.call_id))


async def conversation_say(context: OperationContext, call: Call) -> BaseModel:
    """Queue the next turn."""
    body = call.body_as(conversation_messages.ConversationSay)
    executors = steps.executors_here(context)
    is_from_head = context.database.read(lambda conn: selectors.is_from_head(conn, _get(conn, call)))
    policies = await rules.policies_held(context, call.repository_id, at_head=[Policy()] if is_from_head else [])

    def apply(tx: Transaction) -> BaseModel:
        conversation = _get(tx.connection, call)
        task = _task(
            goal=body.text,
            executor=conversation.executor,
            params=body.params,
            validations=body.validations,
            timeout_s=body.timeout_s,
            budget=body.budget,
            gates=body.gates,
        )
        services.conversation_say(tx, conversation=conversation, task=task, policies=policies)
        warnings = steps.budget_warnings(executors, task, run=Budget(), policies=policies)
        view = selectors.conversation_view(tx.connection, conversation)
        return view.model_copy(update={"warnings": texts.warnings_cut(warnings)})

    answer = answered(await context.database.write("conversation_say", once(call, apply), call_id=call.call_id))
    context.scheduler.wake()
    return answer


async def conversation_undo(context: OperationContext, call: Call) -> BaseModel:
    """Take the newest turn back."""

    def apply(tx: Transaction) -> BaseModel:
        conversation = _get(tx.connection, call)
        services.turn_undo(tx, conversation=conversation)
        return selectors.conversation_view(tx.connection, conversation)

    return answered(await context.database.write("conversation_undo", once(call, apply), call_id=call.call_id))


async def conversation_close(context: OperationContext, call: Call) -> BaseModel:
    """End the talk."""

    def apply(tx: Transaction) -> BaseModel:
        closed = services.conversation_close(tx, conversation=_get(tx.connection, call))
        return selectors.conversation_view(tx.connection, closed)

    return answered(await context.database.write("conversation_close", once(call, apply), call_id=call.call_id))


async def conversation_get(context: OperationContext, call: Call) -> BaseModel:
    """One conversation and its turns."""
    return context.database.read(lambda conn: selectors.conversation_view(conn, _get(conn, call)))


async def conversations_list(context: OperationContext, call: Call) -> BaseModel:
    """A page of conversations, newest first."""
    asked = call.query_as(messages.PageQuery)

    def query(conn: database.Connection) -> BaseModel:
        repositories.repository_get(conn, call.repository_id)
        found, next_cursor = selectors.conversations_list(
            conn, call.repository_id, limit=asked.limit, cursor=asked.cursor
        )
        items = tuple(selectors.conversation_view(conn, each) for each in found)
        return conversation_messages.ConversationPage(items=items, next_cursor=next_cursor)

    return context.database.read(query)


def _task(**fields: Any) -> specs.TaskSpec:
    """The step a talk asks for. Raises InvalidRequest for what no step may have, such as the executor `patch` in a
    talk, which brings no patch, or two checks of one name."""
    try:
        return specs.TaskSpec(**fields)
    except ValidationError as error:
        raise errors.InvalidRequest("body: not valid", errors=faults.field_faults(error)) from None


def _get(conn: database.Connection, call: Call) -> Conversation:
    conversation_id = call.parameters["conversation_id"]
    return selectors.conversation_get(conn, conversation_id, repository_id=call.repository_id)
