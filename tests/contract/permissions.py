"""What was reviewed of who may do what (permissions.csv), beside what a test found by trying.

A surface's test finds its own lines by machine and says `hold("service ", lines)`: a missing, surplus or other line
fails. After a reviewed change, ROPEWAY_REWRITE_PERMISSIONS=1 writes what was found, of that surface alone. No
production code reads the file.
"""

import csv
import os
from collections.abc import Iterable
from pathlib import Path

from cloud.permissions.roles import Role

REVIEWED = Path(__file__).with_name("permissions.csv")
OTHER_OWNER = "other_owner"
"""An owner of another tenant."""
ASKING = (*(role.value for role in Role), OTHER_OWNER)
COLUMNS = ("surface", "target", *ASKING)
OUTCOMES = frozenset({"allow", "forbidden", "not_found", "own"})
"""`own`: they are let in, and meet nothing but their own tenant's."""

Line = tuple[str, ...]


def hold(prefix: str, found: Iterable[Line]) -> None:
    """Compare the lines of one surface with what was reviewed."""
    lines = sorted(found)
    wrong = [line for line in lines if not (line[0].startswith(prefix) and set(line[2:]) <= OUTCOMES)]
    assert wrong == [], f"no lines of {prefix!r}"
    if os.environ.get("ROPEWAY_REWRITE_PERMISSIONS"):
        others = [line for line in reviewed() if not line[0].startswith(prefix)]
        with REVIEWED.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *sorted([*others, *lines])])
        return
    expected = reviewed(prefix)
    surplus, missing = sorted({*lines} - {*expected}), sorted({*expected} - {*lines})
    assert lines == expected, f"found, and not reviewed: {surplus}; reviewed, and not found: {missing}"


def reviewed(prefix: str = "") -> list[Line]:
    """The lines of a surface; of all of them."""
    with REVIEWED.open(newline="") as file:
        header, *lines = [tuple(line) for line in csv.reader(file)]
    assert header == COLUMNS
    return [line for line in lines if line[0].startswith(prefix)]
