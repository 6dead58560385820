"""What one operation is: its name, its route, its messages, its scope and its deadlines.

Machine operations (`operations`) and the cloud's own (`cloud/operations/table.py`) are of this one type. It holds no
behaviour beyond its path. Tests: tests/contract/test_operations.py.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import quote

from pydantic import BaseModel

from local_daemon.protocol import ids, limits
from local_daemon.protocol.scopes import Scope

_PARAMETER = re.compile(r"\{([a-z_]+)\}")


class Audience(StrEnum):
    """From how far away an operation may be called."""

    PLANNER = "planner"  # through the cloud, if the repository is shared
    OPERATOR = "operator"  # on the machine only


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation. `path` is below the surface's prefix; `request` is the body's model, `query` the query string's.
    `streams` answers bytes, not JSON. Deadlines are seconds for the whole way there and back."""

    name: str
    title: str
    description: str
    method: str
    path: str
    scope: Scope
    response: type[BaseModel]
    request: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    audience: Audience = Audience.PLANNER
    mutates: bool = False
    is_destructive: bool = False
    streams: bool = False
    success_status: int = 200
    deadline_s: float = limits.CALL_DEADLINE_S_DEFAULT
    deadline_s_max: float = limits.CALL_DEADLINE_S_MAX

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path, in order."""
        return tuple(_PARAMETER.findall(self.path))

    @property
    def tool_name(self) -> str:
        """The name of the MCP tool: dots are not allowed by every client."""
        return self.name.replace(".", "_")

    def render_path(self, parameters: Mapping[str, str]) -> str:
        """The path with its parameters filled in, each quoted as one segment. Raises KeyError for a missing one."""
        return _PARAMETER.sub(lambda match: quote(parameters[match.group(1)], safe=""), self.path)


PARAMETER_PREFIX: Mapping[str, ids.IdPrefix] = MappingProxyType(
    {
        "repository_id": ids.IdPrefix.REPOSITORY,
        "run_id": ids.IdPrefix.RUN,
        "step_id": ids.IdPrefix.STEP,
        "gate_id": ids.IdPrefix.GATE,
        "artifact_id": ids.IdPrefix.ARTIFACT,
        "conversation_id": ids.IdPrefix.CONVERSATION,
    }
)
"""The noun each path parameter names; its value must be an id of that noun."""


def invalid_parameters(operation: Operation, parameters: Mapping[str, str]) -> list[str]:
    """The names of path parameters that are missing, unknown or not an id of their noun; empty when all is well."""
    wrong = [name for name in operation.parameters if not ids.is_id(PARAMETER_PREFIX[name], parameters.get(name, ""))]
    return wrong + sorted(set(parameters) - set(operation.parameters))
