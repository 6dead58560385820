"""What stands in a path: which parameters, and what each looks like. What does not look so is no path of ours.

Called by `routes` and `schema`. Tests: tests/integration/cloud/rest/test_requests.py.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.urls import register_converter
from django.urls.converters import StringConverter

from local_daemon.protocol import ids

RECORDS: Mapping[str, ids.IdPrefix] = MappingProxyType(
    {
        "run_id": ids.IdPrefix.RUN,
        "step_id": ids.IdPrefix.STEP,
        "gate_id": ids.IdPrefix.GATE,
        "call_id": ids.IdPrefix.CALL,
    }
)
"""Parameters that are a machine's ids; any other is a row's UUID."""

_PARAMETER = re.compile(r"\{([a-z_]+)\}")


def parameters_of(template: str) -> list[str]:
    """The names in a path, in order."""
    return _PARAMETER.findall(template)


def parameter_schema(name: str) -> dict[str, Any]:
    """What a parameter looks like, for the OpenAPI document."""
    if name in RECORDS:
        return {"type": "string", "pattern": ids.pattern_for(RECORDS[name])}
    return {"type": "string", "format": "uuid"}


def django_route(template: str) -> str:
    """The path as Django writes it."""
    return _PARAMETER.sub(lambda match: f"<{_converter(match.group(1))}:{match.group(1)}>", template).removeprefix("/")


def _converter(name: str) -> str:
    return f"ropeway_{name}" if name in RECORDS else "uuid"


for _name, _prefix in RECORDS.items():
    _pattern = ids.pattern_for(_prefix).removeprefix("^").removesuffix("$")
    register_converter(type(f"Converter {_name}", (StringConverter,), {"regex": _pattern}), _converter(_name))
