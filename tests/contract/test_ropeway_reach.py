"""Everything that the daemon answers can be asked from a shell: every operation and every local route is reached by
some command of `ropeway`.

Found by looking: operations in the one table, routes in the daemon's own description, and in the commands' source what
they ask. What is left out stands here, with its reason."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote

import click
import pytest

import local_daemon
from local_daemon.cli import main
from local_daemon.client.http import DaemonClient
from local_daemon.http_api import openapi, routing
from local_daemon.protocol import applications, messages, states
from local_daemon.protocol.operations import OPERATIONS

ROOMS = tuple(Path(local_daemon.__file__).parent / name for name in ("cli", "client"))
"""The commands, and how they come to a daemon that certainly answers."""

HTTP_METHODS = {"get", "post", "put", "patch", "delete"}

UNREACHED_OPERATIONS: dict[str, str] = {}
UNREACHED_ROUTES = {
    "GET /api/v1/instance/executors/stream": "for the connector, which tells the cloud; people ask `ropeway status`",
    "GET /api/v1/openapi.json": "for programs that make a client from it",
    "GET /api/v1/repositories/{repository_id}/events/stream": "for what reads server-sent events; commands follow "
    "/api/v1/events/stream, which says the same as lines",
    "POST /mcp/call": "for bridges that know tools by older names; `ropeway mcp` speaks /mcp",
}

STEP = {"repository_id": "{repository_id}", "step_id": "{step_id}"}
STREAMS: dict[str, dict[str, Any]] = {
    "probe": {},
    "message": {"content": b"{}"},
    "content": {"parameters": {"repository_id": "{repository_id}", "artifact_id": "{artifact_id}"}},
    "log_follow": {"parameters": STEP},
    "events_follow": {"repository_id": "{repository_id}", "after_seq": 0},
}
"""What the client asks otherwise than by an operation's name, and with what, for its route to be seen."""


class Asked(Exception):
    """The route that the client was about to ask."""


class Listening(DaemonClient):
    """Says where it would go, and goes nowhere."""

    def _asked(self, method: str, path: str, **_: Any) -> Any:
        raise Asked(f"{method} {unquote(path)}")


def calls() -> Iterator[tuple[str, str | None]]:
    """Every method that is called in the commands' source, and its first argument where that is a word."""
    for path in sorted(path for room in ROOMS for path in room.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                first = node.args[0] if node.args else None
                word = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
                yield node.func.attr, word


def asked_operations() -> set[str]:
    return {word for name, word in calls() if name == "call" and word is not None}


def stream_route(name: str) -> str:
    client = Listening(socket_path="", token="", timeout_s=1)
    with pytest.raises(Asked) as asked:
        answer = getattr(client, name)(**STREAMS[name])
        next(answer)
    return str(asked.value)


def asked_routes() -> set[str]:
    called = {name for name, _ in calls()}
    by_name = {
        f"{OPERATIONS[name].method} {routing.PREFIX}{OPERATIONS[name].path}"
        for name in asked_operations() & set(OPERATIONS)
    }
    return by_name | {stream_route(name) for name in STREAMS if name in called}


def answered_routes() -> set[str]:
    """Every method and path of the daemon's own description."""
    return {
        f"{method.upper()} {path}"
        for path, methods in openapi.document_build()["paths"].items()
        for method in methods
        if method in HTTP_METHODS
    }


def reached_operations() -> set[str]:
    routes = asked_routes()
    return {
        name
        for name, operation in OPERATIONS.items()
        if f"{operation.method} {routing.PREFIX}{operation.path}" in routes
    }


def test_every_operation_is_reached_by_a_command_or_left_out_with_a_reason() -> None:
    unreached = set(OPERATIONS) - reached_operations()
    assert unreached == set(UNREACHED_OPERATIONS), "Give it a command in local_daemon/cli, or a reason here."


def test_every_route_is_reached_by_a_command_or_left_out_with_a_reason() -> None:
    unreached = answered_routes() - asked_routes()
    assert unreached == set(UNREACHED_ROUTES), "Give it a command in local_daemon/cli, or a reason here."


def test_no_command_asks_for_what_is_not_there() -> None:
    assert asked_operations() <= set(OPERATIONS)
    assert asked_routes() <= answered_routes()


def test_every_way_that_the_client_asks_is_known_here() -> None:
    """A new method of the client is no way around this test."""
    asking = {
        name
        for name, member in vars(DaemonClient).items()
        if not name.startswith("_") and callable(member) and name != "call"
    }
    assert asking == set(STREAMS)


def choices(words: str, name: str) -> set[str]:
    """What an argument or option of a command may be."""
    command: click.Command = main.cli
    context = click.Context(command)
    for word in words.split():
        assert isinstance(command, click.Group)
        found = command.get_command(context, word)
        assert found is not None
        command = found
    kind = next(parameter.type for parameter in command.params if parameter.name == name)
    assert isinstance(kind, click.Choice)
    return {str(choice).replace("-", "_") for choice in kind.choices}


def test_words_that_commands_offer_are_those_that_operations_take() -> None:
    assert choices("run list", "state") == {state.value for state in states.RunState}
    assert choices("step resolve", "resolution") == set(
        get_args(messages.StepResolve.model_fields["resolution"].annotation)
    )
    assert choices("apply", "mode") == set(get_args(applications.StepApply.model_fields["mode"].annotation))
