"""The one table of operations is consistent, and nothing remote escapes its repository."""

import json
import re

import pytest

from local_daemon.mcp_server import tools
from local_daemon.protocol import limits
from local_daemon.protocol.operation import PARAMETER_PREFIX, Audience, Operation, invalid_parameters
from local_daemon.protocol.operations import OPERATIONS, REMOTE_OPERATIONS

EVERY = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())


@EVERY
def test_the_fields_of_an_operation_never_collide_so_that_tools_can_take_them_flat(operation: Operation) -> None:
    names = [
        *operation.parameters,
        *(operation.query.model_fields if operation.query else ()),
        *(operation.request.model_fields if operation.request else ()),
    ]
    assert len(names) == len(set(names))


@EVERY
def test_only_a_mutating_operation_takes_a_body_and_it_always_does(operation: Operation) -> None:
    assert (operation.request is not None) == operation.mutates == (operation.method == "POST")


@EVERY
def test_every_path_parameter_names_a_known_noun(operation: Operation) -> None:
    assert set(operation.parameters) <= set(PARAMETER_PREFIX)


@EVERY
def test_no_call_outlives_what_clients_wait_for(operation: Operation) -> None:
    assert operation.deadline_s <= operation.deadline_s_max <= limits.CALL_DEADLINE_S_MAX


@pytest.mark.parametrize("operation", REMOTE_OPERATIONS.values(), ids=REMOTE_OPERATIONS.keys())
def test_every_remote_operation_names_its_repository_first(operation: Operation) -> None:
    assert operation.parameters[0] == "repository_id"


@EVERY
def test_a_description_sends_a_planner_only_to_what_it_can_reach(operation: Operation) -> None:
    """It is read as a tool's, by a planner that has nothing else."""
    said = operation.description
    assert said.endswith(".")
    assert 30 <= len(said) <= 400
    definition = next(each for each in tools.definitions() if each["name"] == operation.tool_name)
    fields = json.dumps([definition["inputSchema"], definition["outputSchema"]])
    near = REMOTE_OPERATIONS if operation.audience is Audience.PLANNER else OPERATIONS
    reachable = {other.tool_name for other in near.values()}
    for word in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", said):
        assert word in reachable or f'"{word}"' in fields


def test_methods_and_paths_are_unique() -> None:
    routes = [(operation.method, operation.path) for operation in OPERATIONS.values()]
    assert len(routes) == len(set(routes))


def test_what_names_a_path_of_the_machine_is_for_the_operator_only() -> None:
    assert OPERATIONS["repositories.add"].audience is Audience.OPERATOR


@pytest.mark.parametrize("value", ["", "../x", "run_; rm -rf /", "run_01", "RUN_" + "0" * 26, "run_" + "0" * 26 + "\n"])
def test_a_malformed_id_is_named(value: str) -> None:
    operation = OPERATIONS["runs.get"]
    wrong = invalid_parameters(operation, {"repository_id": "repo_" + "0" * 26, "run_id": value})
    assert wrong == ["run_id"]
