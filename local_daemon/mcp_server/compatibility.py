"""`/mcp/call`: one tool call an envelope, under the names that bridges of other orchestrators already use.

Not MCP: no handshake, no list. The older names stand for operations of the table; ids are ours, a project is a
repository's id or label. What they could not say is asked for rather than made up: a step's goal, the executor, and the
digest that an approval names. Called by `http_api`. Tests: tests/integration/daemon/test_mcp.py.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from local_daemon.mcp_server import server, tools
from local_daemon.operations.context import OperationContext
from local_daemon.protocol import errors, ids
from local_daemon.protocol.operation import Operation
from local_daemon.protocol.operations import OPERATIONS
from local_daemon.repositories import selectors as repositories

_PREFIX = "orchestrator."
_PARSE_ERROR = -32700


@dataclass(frozen=True, slots=True, kw_only=True)
class OlderName:
    """An operation under an older name: how its arguments were called then, what it always says, and which members of
    the answer stood beside the content. `answered` gives members their older names too; a list's rows stand under
    `listed` instead of `items`."""

    operation: str
    renamed: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    answer_within: str | None = None
    answered: Mapping[str, str] = field(default_factory=dict)
    listed: str | None = None


_RUN: Mapping[str, str] = MappingProxyType({"run_id": "id", "repository_id": "project_id"})
_GATE: Mapping[str, str] = MappingProxyType({"state": "status"})
_VALIDATION: Mapping[str, str] = MappingProxyType({"verdict": "state"})
_ARTIFACT: Mapping[str, str] = MappingProxyType(
    {"artifact_id": "id", "kind": "type", "size_bytes": "size", "sha256": "hash", "media_type": "mime_type"}
)


OLDER_NAMES: Mapping[str, OlderName] = MappingProxyType(
    {
        "start_run": OlderName(operation="runs.create", renamed={"id": "name"}, answer_within="run", answered=_RUN),
        "list_runs": OlderName(operation="runs.list", answered=_RUN, listed="runs"),
        "get_status": OlderName(operation="runs.get", renamed={"id": "run_id"}, answered=_RUN),
        "start_step": OlderName(operation="steps.submit", renamed={"step_id": "name"}, answer_within="step"),
        "retry_step": OlderName(operation="steps.retry", answer_within="step"),
        "get_step_result": OlderName(operation="steps.result"),
        "get_validations": OlderName(operation="validations.list", answered=_VALIDATION, listed="validations"),
        "list_artifacts": OlderName(operation="artifacts.list", answered=_ARTIFACT, listed="artifacts"),
        "approve_gate": OlderName(
            operation="gates.decide",
            renamed={"id": "gate_id"},
            fixed={"decision": "approve"},
            answer_within="gate",
            answered=_GATE,
        ),
        "reject_gate": OlderName(
            operation="gates.decide",
            renamed={"id": "gate_id"},
            fixed={"decision": "reject"},
            answer_within="gate",
            answered=_GATE,
        ),
    }
)
_OF_PLANNERS_OWN = ("conversation_id", "planner_id", "executor_id", "phase_id")
"""What older calls carry for themselves; it changes nothing here."""


def unread() -> dict[str, Any]:
    """The answer to what is no JSON."""
    return {"jsonrpc": "2.0", "id": None, "error": {"code": _PARSE_ERROR, "message": "not valid JSON"}}


async def envelope_answer(context: OperationContext, envelope: Any, *, actor: str) -> dict[str, Any]:
    """The answer to one call, always with a result; a call that failed says so in it."""
    is_envelope = isinstance(envelope, dict)
    number = envelope.get("id") if is_envelope else None
    try:
        if not is_envelope or not isinstance(envelope.get("arguments", {}), dict):
            raise errors.InvalidRequest("a call is {jsonrpc, id, name, arguments}")
        name = envelope.get("name")
        if not isinstance(name, str):
            raise errors.InvalidRequest(
                "name: say which tool to call", errors=[{"field": "name", "problem": "missing, or not a string"}]
            )
        result = await _call(context, name, envelope.get("arguments", {}), actor=actor)
    except errors.RopewayError as error:
        result = server.failed(error)
    return {"jsonrpc": "2.0", "id": number if isinstance(number, str | int) else None, "result": result}


async def _call(context: OperationContext, name: str, arguments: dict[str, Any], *, actor: str) -> dict[str, Any]:
    older = OLDER_NAMES.get(name.removeprefix(_PREFIX))
    if older is not None:
        operation = OPERATIONS[older.operation]
        given = _translated(older, arguments)
    elif name in tools.BY_NAME:
        older, operation, given = OlderName(operation=name), tools.BY_NAME[name], dict(arguments)
    else:
        raise errors.UnsupportedOperation(f"There is no tool {name[:100]!r}.")
    answer = await _placed_call(context, operation, given, actor=actor)
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    return {**_beside(older, answer), "content": [{"type": "text", "text": text}], "isError": False}


def _beside(older: OlderName, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The answer's members as they stood beside the content."""
    if older.listed is None:
        within = answer.get(older.answer_within, {}) if older.answer_within else answer
        return _also_named(older, within)
    beside = {key: value for key, value in answer.items() if key != "items"}
    return {**beside, older.listed: [_also_named(older, row) for row in answer["items"]]}


def _also_named(older: OlderName, members: Mapping[str, Any]) -> dict[str, Any]:
    return {**members, **{name: members[ours] for ours, name in older.answered.items() if ours in members}}


def _translated(older: OlderName, arguments: Mapping[str, Any]) -> dict[str, Any]:
    given = {older.renamed.get(name, name): value for name, value in arguments.items() if name not in _OF_PLANNERS_OWN}
    given.update(older.fixed)
    if older.operation == "runs.create":
        given.setdefault("objective", given.get("name"))
    if older.operation == "steps.submit" and "task" not in given:
        adapter = given.pop("adapter", None)
        task = {key: given.pop(key) for key in ("goal", "title", "executor") if key in given}
        given["task"] = task if adapter is None else {**task, "executor": adapter}
    return given


async def _placed_call(
    context: OperationContext, operation: Operation, given: dict[str, Any], *, actor: str
) -> dict[str, Any]:
    """The call in the repository it means: the one it names, else the one that knows the object."""
    named = given.pop("project_id", None)
    if "repository_id" not in operation.parameters or "repository_id" in given:
        return await tools.tool_call(context, operation, given, actor=actor)
    candidates = _repositories(context, named)
    if len(candidates) > 1 and operation.parameters == ("repository_id",):
        raise errors.InvalidRequest("project_id: say in which repository; see repositories_list.")
    if len(candidates) > 1 and tools.KEY_ARGUMENT in given:
        # Each repository asked would be another call under the same key.
        raise errors.InvalidRequest(f"{tools.KEY_ARGUMENT}: goes with project_id here; see repositories_list.")
    for repository_id in candidates:
        try:
            return await tools.tool_call(context, operation, {**given, "repository_id": repository_id}, actor=actor)
        except errors.NotFound:
            if len(candidates) == 1:
                raise
    raise errors.NotFound("No repository here knows it.")


def _repositories(context: OperationContext, named: Any) -> list[ids.RepositoryId]:
    """Where to look: an object's id is only ever known to one repository."""
    known = context.database.read(repositories.repositories_known)
    if named is None:
        return [repository.repository_id for repository in known]
    found = [each.repository_id for each in known if named in (each.repository_id, each.label)]
    if len(found) != 1:
        problem = "No repository here has that id or label." if not found else "Several repositories have that label."
        raise errors.InvalidRequest(f"project_id: {problem} See repositories_list.")
    return found
