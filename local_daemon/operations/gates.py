"""Handlers of gates.

Called by `registry`. Tests: tests/unit/daemon/operations/test_gates.py.
"""

from pydantic import BaseModel

from local_daemon.gates import selectors, services
from local_daemon.operations.context import Call, OperationContext
from local_daemon.operations.remembered import answered, once
from local_daemon.protocol import messages
from local_daemon.repositories import selectors as repositories
from local_daemon.runs import services as runs
from local_daemon.steps import selectors as step_selectors
from local_daemon.steps import services as steps
from local_daemon.storage import database
from local_daemon.storage.transaction import Transaction


async def gates_list(context: OperationContext, call: Call) -> BaseModel:
    """A page of gates, newest first."""
    asked = call.query_as(messages.GateListQuery)

    def query(conn: database.Connection) -> BaseModel:
        repositories.repository_get(conn, call.repository_id)
        gates, next_cursor = selectors.gates_list(
            conn, call.repository_id, state=asked.state, limit=asked.limit, cursor=asked.cursor
        )
        return messages.GatePage(items=tuple(selectors.gate_view(gate) for gate in gates), next_cursor=next_cursor)

    return context.database.read(query)


async def gate_get(context: OperationContext, call: Call) -> BaseModel:
    """One gate."""
    return context.database.read(
        lambda conn: selectors.gate_view(selectors.gate_get(conn, call.gate_id, repository_id=call.repository_id))
    )


async def gate_decide(context: OperationContext, call: Call) -> BaseModel:
    """Decide a gate, and let its step go on or fail, in one transaction."""
    body = call.body_as(messages.GateDecide)

    def apply(tx: Transaction) -> BaseModel:
        gate = services.gate_decide(
            tx,
            gate_id=call.gate_id,
            repository_id=call.repository_id,
            decision=body.decision,
            digest=body.digest,
            comment=body.comment,
            answer=body.answer,
            decided_by=call.actor,
        )
        step = steps.step_gate_closed(tx, gate=gate)
        runs.run_refresh(tx, run_id=step.run_id)
        return messages.GateAnswer(gate=selectors.gate_view(gate), step=step_selectors.step_view(step))

    answer = answered(await context.database.write("gate_decide", once(call, apply), call_id=call.call_id))
    context.scheduler.wake()
    return answer
