"""From a method and a path to an operation of the table: no second list of routes exists.

Pure. Tests: tests/unit/daemon/http_api/test_routing.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import unquote

from local_daemon.protocol.operation import Operation
from local_daemon.protocol.operations import OPERATIONS

PREFIX = "/api/v1"
_ANY = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """An operation and the values in its path; or, with no operation, the methods the path does take."""

    operation: Operation | None
    parameters: Mapping[str, str]
    allowed: tuple[str, ...] = ()


_Shape = tuple[str | None, ...]


def _shape(path: str) -> _Shape:
    return tuple(_ANY if part.startswith("{") else part for part in path.strip("/").split("/"))


def _table() -> Mapping[int, tuple[tuple[_Shape, Mapping[str, Operation]], ...]]:
    by_shape: dict[_Shape, dict[str, Operation]] = {}
    for operation in OPERATIONS.values():
        by_shape.setdefault(_shape(operation.path), {})[operation.method] = operation
    by_length: dict[int, list[tuple[_Shape, Mapping[str, Operation]]]] = {}
    # A literal segment is more exact than a parameter, so it is tried first.
    for shape, methods in sorted(by_shape.items(), key=lambda item: [part is _ANY for part in item[0]]):
        by_length.setdefault(len(shape), []).append((shape, MappingProxyType(methods)))
    return MappingProxyType({length: tuple(rows) for length, rows in by_length.items()})


_ROUTES = _table()


def route_match(method: str, raw_path: str) -> Match | None:
    """The operation for a request, by its path as sent (still percent-encoded); None for a path of no operation."""
    if not raw_path.startswith(PREFIX + "/"):
        return None
    segments = raw_path[len(PREFIX) + 1 :].split("/")
    for shape, methods in _ROUTES.get(len(segments), ()):
        if all(part is _ANY or part == segment for part, segment in zip(shape, segments, strict=True)):
            # Decoded after the split, so that an encoded slash stays inside its segment, where no id may have one.
            values = [unquote(segment) for part, segment in zip(shape, segments, strict=True) if part is _ANY]
            operation = methods.get("GET" if method == "HEAD" else method)
            any_operation = operation or next(iter(methods.values()))
            parameters = dict(zip(any_operation.parameters, values, strict=True))
            return Match(operation=operation, parameters=parameters, allowed=_allowed(methods))
    return None


def _allowed(methods: Mapping[str, Operation]) -> tuple[str, ...]:
    return tuple(sorted({*methods, "HEAD"} if "GET" in methods else methods))
