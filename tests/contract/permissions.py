"""What was reviewed of who may do what (permissions.csv), beside what a test found by trying.

A surface's test finds its own lines by machine and says `hold("service ", lines)`: a missing, surplus or other line
fails. After a reviewed change, ROPEWAY_REWRITE_PERMISSIONS=1 writes what was found, of that surface alone. No
production code reads the file.
"""

import csv
import os
from collections import Counter
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
    assert lines == expected, "\n".join(["What was found is not what was reviewed:", *_differences(lines, expected)])


def _differences(found: list[Line], expected: list[Line]) -> Iterable[str]:
    """One sentence a surface and target."""
    now, before = ({line[:2]: line[2:] for line in lines} for lines in (found, expected))
    for key in sorted({*now, *before}):
        named = " ".join(key)
        if key not in before:
            yield f"  {named}: nobody reviewed it; found {dict(zip(ASKING, now[key], strict=True))}"
        elif key not in now:
            yield f"  {named}: is gone"
        else:
            for who, is_now, was in zip(ASKING, now[key], before[key], strict=True):
                if is_now != was:
                    yield f"  {named}: {who} is answered {is_now}, reviewed was {was}"
    repeated = [line[:2] for line, count in Counter(found).items() if count > 1]
    yield from (f"  {' '.join(key)}: was found twice" for key in repeated)


def reviewed(prefix: str = "") -> list[Line]:
    """The lines of a surface; of all of them."""
    with REVIEWED.open(newline="") as file:
        header, *lines = [tuple(line) for line in csv.reader(file)]
    assert header == COLUMNS
    return [line for line in lines if line[0].startswith(prefix)]
