"""The Model Context Protocol, as far as tools and resources need it: one JSON-RPC message in, at most one out.

Stateless and without a transport: `http_api` carries the messages over HTTP, and `ropeway mcp` from standard input to
there. Speaks the revisions that begin with `initialize`; newer clients fall back to it. Errors of the table become
results with `isError`, so that a planner can act on them. Tests: tests/integration/daemon/test_mcp.py.
"""

import json
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from local_daemon.mcp_server import links, resources, tools
from local_daemon.operations.context import OperationContext
from local_daemon.protocol import errors, version

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""The protocol's revisions spoken here, the newest first."""

_INVALID_REQUEST, _METHOD_NOT_FOUND, _INVALID_PARAMS, _INTERNAL = -32600, -32601, -32602, -32603
_RESOURCE_NOT_FOUND = -32002
_REFUSED = -32010
"""One of the codes that are an implementation's own: the request is well, and its data says why it is refused."""
_FACTS = ("code", "detail", "retryable", "retry_after_s", "attributes")
_INSTRUCTIONS = (
    "Ropeway carries work to executors next to the code, and keeps the record of it. Find the repository with "
    "repositories_list (or add it), open a run with runs_create, submit steps with steps_submit (a TaskSpec each, that "
    "names its executor; instance_get lists them), follow them with steps_wait, read steps_result, and decide gates "
    "with gates_decide by the digest that gates_get shows."
)
logger = logging.getLogger(__name__)


class Refused(Exception):
    """A request that ends in a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class McpServer:
    """The tools and resources of one daemon."""

    def __init__(self, context: OperationContext) -> None:
        """Tools act through the same handlers as every other door."""
        self._context = context

    async def answer(self, message: Any, *, actor: str, revision: str | None) -> dict[str, Any] | None:
        """The answer to a message that was read; None to one that wants none. `revision` is the protocol's that the
        client says it speaks."""
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            return _error(None, Refused(_INVALID_REQUEST, "not one JSON-RPC 2.0 message"))
        if "method" not in message:
            return None  # An answer: we ask clients nothing.
        number = message.get("id")
        if "id" not in message:
            return None
        if isinstance(number, bool) or not isinstance(number, str | int):
            return _error(None, Refused(_INVALID_REQUEST, "id: must be a string or an integer"))
        try:
            result = await self._result(message["method"], message.get("params", {}), actor=actor, revision=revision)
        except Refused as refused:
            return _error(number, refused)
        except Exception:  # the outermost frame of a message
            logger.exception("message crashed", extra={"event": "mcp.crashed"})
            return _error(number, Refused(_INTERNAL, "internal error", facts(errors.Internal())))
        return {"jsonrpc": "2.0", "id": number, "result": result}

    async def _result(self, method: Any, params: Any, *, actor: str, revision: str | None) -> dict[str, Any]:
        if not isinstance(params, dict):
            raise Refused(_INVALID_PARAMS, "params: must be an object")
        match method:
            case "initialize":
                return _welcome(params)
            case "ping":
                return {}
            case "tools/list":
                return {"tools": list(tools.definitions())}
            case "tools/call":
                return await self._call(params, actor=actor, revision=revision)
            case "resources/templates/list":
                return {"resourceTemplates": resources.templates()}
            case "resources/list" | "resources/read":
                return await self._resource(method, params, actor=actor)
        raise Refused(_METHOD_NOT_FOUND, f"there is no method {str(method)[:100]!r}")

    async def _call(self, params: Mapping[str, Any], *, actor: str, revision: str | None) -> dict[str, Any]:
        name, arguments = params.get("name"), params.get("arguments") or {}
        operation = tools.BY_NAME.get(name) if isinstance(name, str) else None
        if operation is None:
            missing = errors.UnsupportedOperation(f"There is no tool {str(name)[:100]!r}; see tools/list.")
            raise Refused(_INVALID_PARAMS, missing.detail, facts(missing))
        if not isinstance(arguments, dict):
            raise Refused(_INVALID_PARAMS, "arguments: must be an object")
        try:
            answer = await tools.tool_call(self._context, operation, arguments, actor=actor)
        except errors.Internal as error:
            raise Refused(_INTERNAL, error.detail, facts(error)) from error
        except errors.RopewayError as error:
            return failed(error)
        text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
        linked = links.links_of(operation, arguments, answer, revision=revision)
        return {"content": [{"type": "text", "text": text}, *linked], "structuredContent": answer, "isError": False}

    async def _resource(self, method: str, params: Mapping[str, Any], *, actor: str) -> dict[str, Any]:
        uri, cursor = params.get("uri"), params.get("cursor")
        try:
            if method == "resources/read":
                if not isinstance(uri, str):
                    raise errors.InvalidRequest("uri: must be a string")
                return await resources.read(self._context, uri, actor=actor)
            if not isinstance(cursor, str | None):
                raise errors.InvalidRequest("cursor: must be a string")
            return await resources.listed(self._context, cursor, actor=actor)
        except errors.RopewayError as error:
            # No result can say that it failed, as a tool's can.
            raise Refused(_RESOURCE_CODES.get(type(error), _REFUSED), error.detail, facts(error)) from error


_RESOURCE_CODES: Mapping[type[errors.RopewayError], int] = MappingProxyType(
    {
        errors.NotFound: _RESOURCE_NOT_FOUND,
        errors.InvalidRequest: _INVALID_PARAMS,
        errors.Internal: _INTERNAL,
    }
)


def facts(error: errors.RopewayError) -> dict[str, Any]:
    """What a planner is told of an error within JSON-RPC."""
    problem = error.problem()
    return {name: problem[name] for name in _FACTS if name in problem}


def failed(error: errors.RopewayError) -> dict[str, Any]:
    """An error of the table as a tool's result; a planner that reads nothing but the text is told all of it too."""
    text = f"{error.code}: {error.detail}"
    if error.attributes:
        text += "\n" + json.dumps(error.attributes, ensure_ascii=False)
    return {
        "content": [{"type": "text", "text": text}],
        "structuredContent": {"error": facts(error)},
        "isError": True,
    }


def _welcome(params: Mapping[str, Any]) -> dict[str, Any]:
    wanted = params.get("protocolVersion")
    return {
        "protocolVersion": wanted if wanted in VERSIONS else VERSIONS[0],
        "capabilities": {
            "tools": {"listChanged": False},
            "resources": {"listChanged": False, "subscribe": False},
        },
        "serverInfo": {"name": "ropeway", "title": "Ropeway on this machine", "version": version.__version__},
        "instructions": _INSTRUCTIONS,
    }


def _error(number: Any, refused: Refused) -> dict[str, Any]:
    error: dict[str, Any] = {"code": refused.code, "message": str(refused)}
    if refused.data is not None:
        error["data"] = refused.data
    return {"jsonrpc": "2.0", "id": number, "error": error}
