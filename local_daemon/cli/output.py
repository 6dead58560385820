"""What a person reads: an executor's output by its lines, in words where they are JSON, harmless to a terminal; times.

Pieces come as they were written, cut anywhere. Deliberately knows no executor: what looks like words in a document is
shown, whoever wrote it. Called by whatever shows something. Tests: tests/unit/daemon/cli/test_output.py.
"""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from local_daemon.protocol import terminals

_LINES = 500
_OPEN_CHARACTERS = 64 * 1024
"""Of a line that does not end, so much is kept: its beginning."""

_SHOWN_CHARACTERS = 500
_MINUTE_S = 60
_DEEPEST = 8
_SAYS = ("type", "subtype", "name", "tool", "tool_name", "title", "command", "file_path", "path", "text", "message")
_HOLDS = ("message", "item", "part", "content", "input", "parameters", "state", "error")


class Tail:
    """The last lines of an output."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._open = ""

    def __bool__(self) -> bool:
        return bool(self._lines or self._open)

    def take(self, text: str) -> None:
        """The next piece."""
        *whole, rest = text.split("\n")
        for line in whole:
            self._lines.append(self._open + line)
            self._open = ""
        self._open = (self._open + rest)[:_OPEN_CHARACTERS]

    def last(self, count: int) -> list[str]:
        """The last lines, an unfinished one included, as they are shown."""
        lines = [*self._lines, self._open] if self._open else list(self._lines)
        return [readable(line) for line in lines[-count:]] if count > 0 else []


class Lines:
    """The lines of an output, each once, as soon as it has ended."""

    def __init__(self, *, is_cut: bool = False) -> None:
        """`is_cut`: it begins in the middle of a line, which is left out."""
        self._open = ""
        self._is_cut = is_cut

    def take(self, text: str) -> list[str]:
        """The lines that this piece has ended, as they are shown."""
        first, *others = (self._open + text).split("\n")
        if not others:
            self._open = first[:_OPEN_CHARACTERS]
            return []
        *others, rest = others
        self._open = rest[:_OPEN_CHARACTERS]
        whole = others if self._is_cut else [first, *others]
        self._is_cut = False
        return [readable(line) for line in whole]

    def rest(self) -> list[str]:
        """The one that has not ended, and never will."""
        rest, self._open = self._open, ""
        return [readable(rest)] if rest and not self._is_cut else []


def duration(lasted: timedelta) -> str:
    """How long something took: tenths of a second within a minute, then hours, minutes and seconds."""
    seconds = lasted.total_seconds()
    return f"{seconds:.1f} s" if seconds < _MINUTE_S else str(timedelta(seconds=round(seconds)))


def readable(line: str) -> str:
    """One line to be shown: of a JSON object what it says, else as it stands."""
    document = _document(line)
    said = "" if document is None else "  ".join(_words(document, _DEEPEST))
    return terminals.plain(said or line)[:_SHOWN_CHARACTERS]


def _document(line: str) -> Mapping[str, Any] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None  # Cut short, or something else.
    return document if isinstance(document, Mapping) else None


def _words(found: Any, deepest: int) -> Iterator[str]:
    if deepest == 0:
        return
    if isinstance(found, list):
        for each in found:
            yield from _words(each, deepest - 1)
    elif isinstance(found, Mapping):
        for name in _SAYS:
            if isinstance(found.get(name), str) and found[name].strip():
                yield " ".join(found[name].split())
        for name in _HOLDS:
            if isinstance(found.get(name), str):
                if name not in _SAYS:
                    yield " ".join(found[name].split())
            else:
                yield from _words(found.get(name), deepest - 1)
