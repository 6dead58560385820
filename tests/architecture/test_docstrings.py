"""What docstrings name is there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPONENTS = ("cloud", "connector_agent", "local_daemon", "relay", "deploy", "benchmarks")
_PATH = re.compile(r"\btests/[\w./-]*\w/?")


def named() -> Iterator[tuple[str, str]]:
    """Every path of a test that a module's docstring names, and the module."""
    for component in COMPONENTS:
        for file in sorted((ROOT / component).rglob("*.py")):
            told = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
            for path in _PATH.findall(told):
                yield str(file.relative_to(ROOT)), path


def is_tried(path: Path) -> bool:
    """Whether a test stands there, or below that folder."""
    return path.is_file() or any(path.rglob("test_*.py"))


def test_modules_say_where_their_tests_are() -> None:
    assert len(list(named())) > 300


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_test_that_a_module_names_is_there(component: str) -> None:
    missing = [f"{file}: {path}" for file, path in named() if file.startswith(component) and not is_tried(ROOT / path)]
    assert missing == [], "Correct the docstrings: " + "; ".join(missing)
