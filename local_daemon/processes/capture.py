"""Cleaning a log on its way into evidence: what leaves the machine names no directory of it and no known secret.

Streams, so a log of any size costs a constant amount of memory, and a path or secret that falls between two reads is
still found. Deliberately not for patches, which are never rewritten. Called when artifacts are captured.
Tests: tests/unit/daemon/processes/test_capture.py.
"""

import io
import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

LOG_BYTES_MAX = 8 * 1024 * 1024
"""How much of one output is kept as evidence."""

_CHUNK_BYTES = 1024 * 1024
_SECRET_CHARACTERS_MIN = 6
"""Shorter values are no secrets, and replacing them would shred the log."""

_NAME_ENDS = rb"(?![A-Za-z0-9_-])"
_NAME_BEGINS = rb"(?<![A-Za-z0-9_.-])"
"""A directory of one name (`/src`) is not meant where another path goes on with it (`lib/src`)."""


def clean_log(
    src: Path,
    dst: Path,
    *,
    worktree_root: Path,
    home: Path | None,
    secrets: Mapping[str, str],
    directories: Mapping[str, Path] | None = None,
    bytes_max: int = LOG_BYTES_MAX,
) -> int:
    """Copy `src` to `dst` with the worktree's root as `.`, the home directory as `~`, each of `directories`
    (name → path) as `[name]` and each value of `secrets` (name → value) as `[redacted:name]`; answers the bytes
    written. Also finds their JSON-escaped forms. Of more than `bytes_max`, head and tail are kept, and a line between
    says how much was left out of how much."""
    replacements = _replacements(worktree_root=worktree_root, home=home, secrets=secrets, directories=directories or {})
    head_bytes = bytes_max // 2
    tail_bytes = bytes_max - head_bytes
    seen, tail = 0, bytearray()
    with open(src, "rb") as source, open(dst, "wb") as target:
        for piece in _cleaned(source, replacements):
            room = max(0, head_bytes - seen)
            target.write(piece[:room])
            tail += piece[room:]
            seen += len(piece)
            if len(tail) > tail_bytes + _CHUNK_BYTES:
                del tail[:-tail_bytes]
        if left_out := max(0, seen - bytes_max):
            target.write(f"\n[{left_out} of {seen} bytes left out here]\n".encode())
        target.write(tail[-tail_bytes:])
        return target.tell()


def clean_text(
    text: str,
    *,
    worktree_root: Path,
    home: Path | None,
    secrets: Mapping[str, str],
    directories: Mapping[str, Path] | None = None,
) -> str:
    """The same for a short text, such as an executor's last words."""
    replacements = _replacements(worktree_root=worktree_root, home=home, secrets=secrets, directories=directories or {})
    source = io.BytesIO(text.encode("utf-8", errors="replace"))
    return b"".join(_cleaned(source, replacements)).decode("utf-8", errors="replace")


class _Replacements:
    """What is looked for, the longest first, and what takes its place."""

    def __init__(
        self, literal: Mapping[bytes, bytes], *, directories: Collection[bytes], short: Collection[bytes]
    ) -> None:
        self._literal = literal
        ordered = sorted(literal, key=len, reverse=True)
        self.pattern = re.compile(
            b"|".join(
                (_NAME_BEGINS if text in short else b"")
                + re.escape(text)
                + (_NAME_ENDS if text in directories else b"")
                for text in ordered
            )
        )
        # One more byte than the longest, because a directory's name must be seen to end.
        self.lookahead_bytes = max(map(len, ordered)) + 1

    def replacement(self, found: bytes) -> bytes:
        """What takes the place of this text."""
        return self._literal[found]


def _replacements(
    *, worktree_root: Path, home: Path | None, secrets: Mapping[str, str], directories: Mapping[str, Path]
) -> _Replacements:
    literal: dict[bytes, bytes] = {}
    paths: set[bytes] = set()
    short: set[bytes] = set()
    named = {path: f"[{name}]".encode() for name, path in directories.items()}
    # What comes later wins where two are the same directory.
    for directory, word in (*named.items(), (home, b"~"), (worktree_root, b".")):
        if directory is None or len(directory.parts) < 2:
            continue
        for path in {str(directory), str(directory.resolve())}:
            for text in _forms(path):
                literal[text] = word
                paths.add(text)
                if directory in named and len(directory.parts) == 2:
                    short.add(text)
    for name, value in secrets.items():
        if len(value) >= _SECRET_CHARACTERS_MIN:
            for text in _forms(value):
                literal[text] = f"[redacted:{name}]".encode()
                paths.discard(text)
                short.discard(text)
    return _Replacements(literal, directories=paths, short=short)


def _forms(text: str) -> set[bytes]:
    # Executors print JSON lines, where the same text may stand escaped, by any of the usual encoders.
    forms = {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    forms |= {form.replace("/", "\\/") for form in forms}
    return {form.encode("utf-8", errors="surrogateescape") for form in forms}


def _cleaned(source: BinaryIO, replacements: _Replacements) -> Iterator[bytes]:
    held = b""
    while True:
        chunk = source.read(_CHUNK_BYTES)
        text = held + chunk
        # A match that begins before `safe` lies in `text` completely; what begins later waits for the next read.
        safe = len(text) - replacements.lookahead_bytes if chunk else len(text)
        done = 0
        for match in replacements.pattern.finditer(text):
            if match.start() >= safe:
                break
            yield text[done : match.start()]
            yield replacements.replacement(match.group())
            done = match.end()
        if not chunk:
            yield text[done:]
            return
        keep_from = max(done, safe, 0)
        yield text[done:keep_from]
        held = text[keep_from:]
