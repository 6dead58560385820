"""Reading what a CLI printed as lines of JSON, whatever else it printed.

Any size, any nonsense: one line at a time, longer ones than `LINE_BYTES` passed over, what is not a JSON object left
out. And looking into such a document without trusting its shape. Called by the executors' adapters.
Tests: tests/unit/daemon/executors/test_jsonl.py.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from local_daemon.processes import printed

LINE_BYTES = 8 * 1024 * 1024
"""A tool's whole output may stand in one line; beyond this it says nothing of the run."""

TOKENS_MAX = 2**53
"""More than any run, and what every reader of the record can hold."""

WORD_CHARACTERS_MAX = 300
"""More than any id or name of a model has."""

Document = Mapping[str, Any]


def documents_read(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects in the file, one a line, in order."""
    with printed.printed_open(path) as file:
        for line in _lines(file):
            document = document_read(line)
            if document is not None:
                yield document


def document_read(line: bytes) -> dict[str, Any] | None:
    """The JSON object on a line; None where it is something else."""
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None  # Cut short by the end of the process, or not meant for us.
    return document if isinstance(document, dict) else None


def find(document: Document, *names: str) -> Any:
    """What stands under these names, one inside the other; None where there is nothing."""
    found: Any = document
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def text(document: Document, *names: str) -> str | None:
    """The text there, if it is one that says something."""
    found = find(document, *names)
    return found if isinstance(found, str) and found.strip() else None


def word(document: Document, *names: str) -> str | None:
    """The id or name there, if it is one: short, and of nothing but characters that can be shown. What else a line may
    hold (half a surrogate pair, NUL, megabytes) no record takes."""
    found = text(document, *names)
    return found if found is not None and len(found) <= WORD_CHARACTERS_MAX and found.isprintable() else None


def count(document: Document, *names: str) -> int | None:
    """The whole number there, if it is one and not negative."""
    found = find(document, *names)
    is_count = isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= TOKENS_MAX
    return found if is_count else None


def amount(document: Document, *names: str) -> float | None:
    """The number there, if it is one, finite and not negative."""
    found = find(document, *names)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= TOKENS_MAX:
        return None
    return float(found) if math.isfinite(found) else None


def objects(document: Document, *names: str) -> list[Document]:
    """The objects in the list there."""
    found = find(document, *names)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _lines(file: BinaryIO) -> Iterator[bytes]:
    is_inside_long_line = False
    while piece := file.readline(LINE_BYTES):
        ends = piece.endswith(b"\n")
        if not is_inside_long_line and (ends or len(piece) < LINE_BYTES):
            yield piece
        is_inside_long_line = not ends
