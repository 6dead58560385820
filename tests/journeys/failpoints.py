"""Every place where a crash journey may kill a process, read from the code itself.

A write that is added tomorrow is enumerated tomorrow: nothing here names one.
"""

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).resolve().parents[2]
_SIDES = ("before_commit", "after_commit")
_PREFIXES = MappingProxyType({"write": "daemon", "recorded": "cloud", "failpoint": ""})


@dataclass(frozen=True, slots=True, kw_only=True)
class Failpoint:
    """A failpoint, and in which component's code it stands."""

    name: str
    component: str


@functools.cache
def failpoints_find() -> tuple[Failpoint, ...]:
    """All of them, by name. Raises AssertionError for a write whose label is not a literal."""
    found = {
        Failpoint(name=name, component=component)
        for component in ("cloud", "relay", "connector_agent", "local_daemon")
        for path in sorted((ROOT / component).rglob("*.py"))
        for name in _names_in(path)
    }
    return tuple(sorted(found, key=lambda failpoint: failpoint.name))


def _names_in(path: Path) -> Iterator[str]:
    text = path.read_text()
    if not any(f"{called}(" in text for called in _PREFIXES):
        return  # Most files: parsing all of them takes seconds, in every session.
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        prefix = _PREFIXES.get(called)
        if prefix is None or not node.args or not _is_record(node, called):
            continue
        label = node.args[0]
        if isinstance(label, ast.JoinedStr):
            continue  # The one place that makes names of labels.
        assert isinstance(label, ast.Constant), f"{path}:{node.lineno}: the label must be a literal"
        if called == "failpoint":
            yield str(label.value)
        else:
            yield from (f"{prefix}.{label.value}.{side}" for side in _SIDES)


def _is_record(node: ast.Call, called: str) -> bool:
    """Whether a `.write` is the record's and not a file's: it is called on a `database`."""
    if called != "write" or not isinstance(node.func, ast.Attribute):
        return called != "write"
    receiver = node.func.value
    name = receiver.attr if isinstance(receiver, ast.Attribute) else getattr(receiver, "id", "")
    return name.endswith("database")
