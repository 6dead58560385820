"""A patch as lines that a page can colour: files, hunks, what went and what came; cut off where nobody reads on.

Pure, and deliberately no judge of whether a patch applies: a line that fits nothing is shown as it is. Escaping is the
template's. Tests: tests/unit/cloud/console/test_diffs.py.
"""

import re
from dataclasses import dataclass, field

LINES_MAX = 3_000
LINE_CHARACTERS = 2_000

# What a browser would not show, or would show in another order than a compiler reads it.
_HIDDEN = re.compile("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_NO_TEXT = re.compile("[\udc80-\udcff]")
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: `kind` is added, removed, same, hunk or note; numbers are None where it has none."""

    kind: str
    text: str
    old: int | None = None
    new: int | None = None


@dataclass(slots=True, kw_only=True)
class File:
    """One file's changes."""

    name: str
    lines: list[Line] = field(default_factory=list)
    added: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """What is shown of a patch, and how much of it."""

    files: list[File]
    shown_lines: int
    total_lines: int
    cut_lines: int

    @property
    def is_whole(self) -> bool:
        """Whether every line is shown to its end."""
        return self.shown_lines == self.total_lines and not self.cut_lines


def text_of(patch: bytes) -> str:
    """A patch as text, whatever it holds: each byte that is no UTF-8 as ⟨0xFF⟩, so that it is taken for no letter."""
    # Such bytes are decoded to lone surrogates, which UTF-8 itself never decodes to.
    return _NO_TEXT.sub(lambda found: f"⟨0x{ord(found[0]) - 0xDC00:02X}⟩", patch.decode("utf-8", "surrogateescape"))


def diff_of(patch: str) -> Diff:
    """Read a unified diff, as git writes them."""
    # Not splitlines: a form feed or a bare carriage return is content, and must not begin a line of its own.
    lines = patch.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    reader = _Reader()
    for line in lines[:LINES_MAX]:
        reader.read(line)
    shown = lines[:LINES_MAX]
    return Diff(
        files=reader.files,
        shown_lines=len(shown),
        total_lines=len(lines),
        cut_lines=sum(len(line) > LINE_CHARACTERS for line in shown),
    )


class _Reader:
    """Where in the patch we are. Inside a hunk a line is content, whatever it looks like."""

    def __init__(self) -> None:
        self.files: list[File] = []
        self._old = self._new = self._old_left = self._new_left = 0

    def read(self, line: str) -> None:
        """Take the next line in."""
        if self._old_left > 0 or self._new_left > 0:
            self._read_content(line)
        elif line.startswith("diff --git "):
            self._begin(line.removeprefix("diff --git ").rpartition(" b/")[2])
        elif (hunk := _HUNK.match(line)) is not None:
            self._old, self._new = int(hunk[1]), int(hunk[3])
            self._old_left, self._new_left = int(hunk[2] or 1), int(hunk[4] or 1)
            self._add(Line(kind="hunk", text=_cut(line)))
        elif line.startswith("--- ") and (not self.files or self.files[-1].added or self.files[-1].removed):
            # A plain diff has no `diff --git` to begin a file with.
            self._begin(line.removeprefix("--- "))
            self._add(Line(kind="note", text=_cut(line)))
        else:
            self._add(Line(kind="note", text=_cut(line)))

    def _read_content(self, line: str) -> None:
        # The first character is the sign; the limit counts the line as it stands in the patch.
        sign, text = line[:1], _cut(line)[1:]
        file = self._file()
        if sign == "+":
            self._add(Line(kind="added", text=text, new=self._new))
            self._new, self._new_left, file.added = self._new + 1, self._new_left - 1, file.added + 1
        elif sign == "-":
            self._add(Line(kind="removed", text=text, old=self._old))
            self._old, self._old_left, file.removed = self._old + 1, self._old_left - 1, file.removed + 1
        elif sign == "\\":
            self._add(Line(kind="note", text=_cut(line)))
        else:
            self._add(Line(kind="same", text=text, old=self._old, new=self._new))
            self._old, self._new = self._old + 1, self._new + 1
            self._old_left, self._new_left = self._old_left - 1, self._new_left - 1

    def _begin(self, name: str) -> None:
        self.files.append(File(name=_cut(name)))

    def _file(self) -> File:
        if not self.files:
            self._begin("")
        return self.files[-1]

    def _add(self, line: Line) -> None:
        self._file().lines.append(line)


def _cut(text: str) -> str:
    shown = _HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text[:LINE_CHARACTERS])
    if len(text) <= LINE_CHARACTERS:
        return shown
    return f"{shown}… ({len(text) - LINE_CHARACTERS} more characters)"
