"""Every operation of the table has exactly one handler, and every handler's write a literal name."""

import ast
from pathlib import Path

import local_daemon
from local_daemon.operations import registry
from local_daemon.protocol.operations import OPERATIONS

SOURCES = sorted(Path(local_daemon.__file__).parent.rglob("*.py"))


def test_every_operation_has_exactly_one_handler() -> None:
    assert set(registry.HANDLERS) == set(OPERATIONS)
    assert len(set(registry.HANDLERS.values())) == len(OPERATIONS)


def test_every_write_of_the_daemon_is_named_by_a_literal_of_its_own() -> None:
    """Crash journeys enumerate the names from the syntax tree, so none may be computed."""
    labels = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "write"
                and isinstance(node.func.value, ast.Attribute)
                and node.func.value.attr == "database"
            ):
                first = node.args[0]
                assert isinstance(first, ast.Constant), f"{path.name}:{node.lineno}"
                labels.append(first.value)
    assert {"run_create", "step_submit", "gate_decide"} <= set(labels)
    assert len(labels) == len(set(labels))
