"""How one MCP request counts against its caller's calls: once, and before it is looked at.

What a tool or a resource answers is counted by whoever answers it, so that a planner reads the refusal in a result;
everything else at the door (a beginning, a ping, a list of tools, a notification, a method that there is not), and so
is what the SDK refuses before any handler sees it. Deliberately no rule of how often: that is the Planner's. Called by
`transport` and `server`. Tests: tests/integration/cloud/relay/test_mcp_limits.py.
"""

from collections.abc import Mapping
from typing import Any

from mcp_types import methods

from relay.ports import Caller, Planner

HANDLED = frozenset({"tools/call", "resources/list", "resources/read"})
"""Methods whose handlers count, each by what is asked of it."""
_KNOWN = methods.SPEC_CLIENT_METHODS | methods.SPEC_CLIENT_NOTIFICATION_METHODS
_UNKNOWN = "mcp"


class RequestCount:
    """One request's count: made here, or left to the handler that has it."""

    def __init__(self, planner: Planner, caller: Caller, *, client_address: str | None) -> None:
        self._planner = planner
        self._caller = caller
        self._client_address = client_address
        self._called = _UNKNOWN
        self._is_settled = False

    async def at_door(self, message: Any) -> None:
        """Count what the body says, unless a handler will. Raises RateLimited."""
        self._called = _called(message)
        if not _is_handled(message):
            await self.make()

    def leave_to_handler(self) -> None:
        """A handler has the request."""
        self._is_settled = True

    async def make(self) -> None:
        """Count it, unless that is done or a handler does it. Raises RateLimited."""
        if not self._is_settled:
            self._is_settled = True
            await self._planner.count(self._caller, self._called, client_address=self._client_address)


def _is_handled(message: Any) -> bool:
    # By the very types of an id, and without an error: what the SDK takes for a notification or an answer, whatever
    # method it names besides, comes to no handler.
    if not isinstance(message, dict) or "error" in message:
        return False
    return _method(message) in HANDLED and type(message.get("id")) in (int, str)


def _called(message: Any) -> str:
    """What the audit is told was asked: a name of the protocol, or nothing of what was sent."""
    method = _method(message) if isinstance(message, dict) else ""
    return method.replace("/", ".") if method in _KNOWN else _UNKNOWN


def _method(message: Mapping[str, Any]) -> str:
    method = message.get("method")
    return method if isinstance(method, str) else ""
