import pytest

from local_daemon.http_api import routing
from local_daemon.protocol import ids
from local_daemon.protocol.operation import PARAMETER_PREFIX, Operation
from local_daemon.protocol.operations import OPERATIONS


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.name)
def test_every_operation_is_reached_by_its_own_path(operation: Operation) -> None:
    parameters = {name: ids.new_id(PARAMETER_PREFIX[name]) for name in operation.parameters}
    match = routing.route_match(operation.method, routing.PREFIX + operation.render_path(parameters))
    assert match is not None
    assert match.operation is operation
    assert match.parameters == parameters


def test_an_encoded_slash_stays_inside_its_segment() -> None:
    match = routing.route_match("GET", "/api/v1/repositories/a%2Fb")
    assert match is not None
    assert match.parameters == {"repository_id": "a/b"}


def test_another_method_names_those_that_are_taken() -> None:
    match = routing.route_match("DELETE", "/api/v1/repositories")
    assert match is not None
    assert (match.operation, match.allowed) == (None, ("GET", "HEAD", "POST"))


@pytest.mark.parametrize(
    "path", ["/", "/api/v1", "/api/v1/", "/api/v1//instance", "/api/v1/instance/", "/api/v2/instance", "/instance", ""]
)
def test_any_other_path_is_nobodys(path: str) -> None:
    assert routing.route_match("GET", path) is None
