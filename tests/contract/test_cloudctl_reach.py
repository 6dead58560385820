"""Everything that an admin may do can be done from a shell: every service and every route is reached by some command.

Found by looking: services by the scope that they declare, routes in the API's own table, and in the commands' source
what they ask and name. What is left out stands here, with its reason."""

import ast
import importlib
import inspect
import itertools
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloud
from cloud.rest import routes
from local_daemon.protocol.operations import OPERATIONS

CLOUDCTL = Path(cloud.__file__).parent / "cloudctl"
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
DOORS = {"door.py", "doors.py", "in_place.py", "remote.py", "reaching.py"}
"""They carry what commands ask, and ask nothing of their own."""

UNREACHED_SERVICES = {
    "cloud.tenancy.password_links.password_link_create": "made on a person's page in the admin, for their browser",
    "cloud.access.selectors.token_list": "token_page, of which it is the older form, is",
    "cloud.connectors.selectors.connector_list": "connector_page, of which it is the older form, is",
    "cloud.connectors.selectors.project_list": "for planners: `project list` and `location list` say the same",
    "cloud.runs.selectors.step_get": "`run show` tells a run's steps whole",
}
UNREACHED_ROUTES = {
    "GET /status": "for programs that look for a cloud's surfaces; `doctor` tries them",
    "POST /runs": "`run start` sends a whole manifest to the machine, which closes the run as well",
    "GET /steps/{step_id}": "`run show` tells a run's steps whole",
}

Words = list[str | None]


def calls() -> Iterator[tuple[str, Words]]:
    """Every call in the commands' source: what is called, and its arguments that are words, written there or named in
    the same file."""
    for path in sorted(CLOUDCTL.glob("*.py")):
        if path.name in DOORS:
            continue
        tree = ast.parse(path.read_text())
        named = {
            target.id: node.value.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                yield name, [_word(argument, named) for argument in node.args]


def _word(node: ast.expr, named: dict[str, Any]) -> str | None:
    found = named.get(node.id) if isinstance(node, ast.Name) else getattr(node, "value", None)
    return found if isinstance(found, str) else None


def asked_routes() -> set[str]:
    """`METHOD path` of whatever a command asks: a method beside a path, or the path of a list or a file."""
    found = set()
    for name, words in calls():
        for method, path in itertools.pairwise(words):
            if method in METHODS and path is not None:
                found.add(f"{method} {path}")
        if name in ("page_ask", "save"):
            found |= {f"GET {word}" for word in words if word is not None}
    return found


def services() -> dict[str, Any]:
    """Every function of the cloud that says which scope its grant must be for."""
    found = {}
    for module in pkgutil.walk_packages(cloud.__path__, "cloud."):
        if ".migrations" in module.name or module.name.startswith("cloud.config"):
            continue
        for name, service in vars(importlib.import_module(module.name)).items():
            if inspect.isfunction(service) and service.__module__ == module.name and hasattr(service, "scope"):
                found[f"{module.name}.{name}"] = service
    return found


def reached_services() -> set[str]:
    """Those behind a route that a command asks, and those that a command's own file names."""
    asked = asked_routes()
    sources = "\n".join(path.read_text() for path in CLOUDCTL.glob("*.py"))
    behind = {
        f"{endpoint.service.__module__}.{endpoint.service.__name__}"
        for endpoint in routes.ENDPOINTS
        if endpoint.service is not None and f"{endpoint.method} {endpoint.path}" in asked
    }
    return behind | {name for name, service in services().items() if f".{service.__name__}" in sources}


def test_every_service_is_reached_by_a_command_or_left_out_with_a_reason() -> None:
    unreached = set(services()) - reached_services()
    assert unreached == set(UNREACHED_SERVICES), "Give it a command in cloud/cloudctl, or a reason here."


def test_every_route_is_reached_by_a_command_or_left_out_with_a_reason() -> None:
    known = {f"{endpoint.method} {endpoint.path}" for endpoint in routes.ENDPOINTS}
    assert known - asked_routes() == set(UNREACHED_ROUTES), "Give it a command in cloud/cloudctl, or a reason here."


def test_no_command_asks_for_what_is_not_there() -> None:
    known = {f"{endpoint.method} {endpoint.path}" for endpoint in routes.ENDPOINTS}
    assert asked_routes() <= known
    operations = {words[0] for name, words in calls() if name == "ask" and words and words[0] and "." in words[0]}
    assert operations
    assert operations <= set(OPERATIONS)


def test_words_that_commands_offer_are_those_that_the_api_takes() -> None:
    from cloud.access.models import TokenKind
    from cloud.access.selectors import TokenState
    from cloud.cloudctl import machines, schedules, tokens, usage
    from cloud.limits.costs import CostGroup
    from cloud.schedules.models import WhenAway
    from cloud.tenancy.models import Status

    assert set(tokens.KINDS) == {kind.value for kind in TokenKind}
    assert set(tokens.STATES) == {state.value for state in TokenState}
    assert set(schedules.WHEN_AWAY) == {word.value for word in WhenAway}
    assert set(usage.COST_GROUPS) == {group.value for group in CostGroup}
    assert set(machines.STATUSES) == {status.value for status in Status}
