"""Cleaning a log on its way into evidence: what leaves the machine names no directory of it and no known secret.

Streams, so a log of any size costs a constant amount of memory, and a path or secret that falls between two reads is
still found. All of a log can be followed while it is written; of a long one head and tail are kept, and a place in it
stays the same place (`log_piece`). Deliberately not for patches, which are never rewritten. Called when artifacts are
captured, and by who reads the output of an attempt (`scheduler/outputs.py`, `operations/artifacts.py`).
Tests: tests/unit/daemon/processes/test_capture.py.
"""

import json
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import IO

from local_daemon.processes import credentials, printed, secrecy

LOG_BYTES_MAX = 8 * 1024 * 1024
"""How much of one output is kept as evidence."""

_TAIL_SHARE = 4
"""Of a longer one, this part of what is kept is its end; so far may a follower fall behind without missing any."""

_CHUNK_BYTES = 1024 * 1024
_LITTLE_BYTES = 4 * 1024
_IN_MEMORY_BYTES = 64 * 1024

_NAME_ENDS = rb"(?![A-Za-z0-9_-])"
_NAME_BEGINS = rb"(?<![A-Za-z0-9_.-])"
"""A directory of one name (`/src`) is not meant where another path goes on with it (`lib/src`)."""

_GOES_ON = rb"(?![.:!?]?[A-Za-z0-9_+/=@$%#~^*\x80-\xff-])"
"""An everyday word that goes on is another value, perhaps another secret, which then is looked for by itself."""

_SAYS = rb"""(?=[\\"'`\t =:>|-])[\\"'`]{0,4}[\t ]{0,4}[=:>|-]{0,3}[\t ]{0,4}[\\"'`]{0,4}"""
_SAYS_BYTES_MAX = 19
"""What stands between a name and its value: in a shell, in YAML, in JSON that may itself be quoted, in a table. All of
it is optional, so whatever begins so may go on so."""

_PASSWORD_NAMES = ("password", "passwd", "pwd")

_NEVER = rb"(?!)"

_LEFT_OUT = "\n[{} of {} bytes left out here]\n"
_LEFT_OUT_LINE = re.compile(rb"\n\[([0-9]{1,18}) of ([0-9]{1,18}) bytes left out here\]\n")
_LEFT_OUT_BYTES = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What no log may show: the worktree's root becomes `.`, the home directory `~`, each of `directories` (name →
    path) `[name]`, and each value of `secrets` (name → value) `[redacted:name]`; their JSON-escaped forms too. One that
    is an everyday word (`secrecy.is_everyday`) is replaced only beside its name, and as the password of an address.
    Beside them goes whatever looks like a credential (`credentials.SHAPES`)."""

    worktree_root: Path
    home: Path | None
    secrets: Mapping[str, str]
    directories: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of an output, by its place in all that was said: `size_bytes` is how much that is, `next_offset` where
    the next piece begins. What was not kept is one piece, a line that says how much. `is_torn`: what followed this one
    directly was not kept, so half a character at its end stays one."""

    content: bytes
    next_offset: int
    size_bytes: int
    is_torn: bool = False


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
    """Copy `src` to `dst`, cleaned of what is `Known`; answers the bytes written. Of more than `bytes_max`, head and
    tail are kept, and a line between says how much was left out of how much."""
    known = Known(worktree_root=worktree_root, home=home, secrets=secrets, directories=directories or {})
    return Capture(src, dst, known=lambda: known, bytes_max=bytes_max).finish()


def clean_text(
    text: str,
    *,
    worktree_root: Path,
    home: Path | None,
    secrets: Mapping[str, str],
    directories: Mapping[str, Path] | None = None,
) -> str:
    """The same for a short text, such as an executor's last words."""
    known = Known(worktree_root=worktree_root, home=home, secrets=secrets, directories=directories or {})
    known_gone = b"".join(_Cleaning(_Replacements(known)).feed(text.encode("utf-8", errors="replace"), is_last=True))
    cleaned = credentials.Redaction().feed(known_gone, is_last=True)
    return b"".join(cleaned).decode("utf-8", errors="replace")


def log_piece(log: IO[bytes], size_bytes: int, *, offset: int, length: int, bytes_max: int = LOG_BYTES_MAX) -> Piece:
    """A piece of a finished log of `size_bytes` bytes, by its place in all that was said."""
    head = tail_at = tail_from = said = size_bytes
    if size_bytes > bytes_max:  # A shorter one is whole, whatever stands in it.
        log.seek(_head_bytes(bytes_max))
        if line := _LEFT_OUT_LINE.match(log.read(_LEFT_OUT_BYTES)):
            head, said = _head_bytes(bytes_max), int(line[2])
            tail_from, tail_at = head + int(line[1]), head + line.end()

    def read(start: int, count: int) -> bytes:
        log.seek(start)
        return log.read(count)

    parts = _Parts(head=head, tail_from=tail_from, said=said, read=read, read_tail=lambda at, n: read(tail_at + at, n))
    return parts.piece(offset, length)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What is kept of an output of `said` bytes: its first `head`, and all from `tail_from`; and how each is read."""

    head: int
    tail_from: int
    said: int
    read: Callable[[int, int], bytes]
    read_tail: Callable[[int, int], bytes]

    def piece(self, offset: int, length: int) -> Piece:
        content, at = b"", offset
        if offset >= self.said:  # No file is asked for what is beyond its end: the system refuses to look very far.
            return Piece(content=b"", next_offset=offset, size_bytes=self.said)
        if offset < self.head:
            content = self.read(offset, min(length, self.head - offset))
            at += len(content)
        elif offset < self.tail_from:
            line = _LEFT_OUT.format(self.tail_from - offset, self.said).encode()
            return Piece(content=line, next_offset=self.tail_from, size_bytes=self.said)
        if at >= self.tail_from and len(content) < length:
            content += self.read_tail(at - self.tail_from, length - len(content))
        is_torn = offset < self.head == at < self.tail_from
        return Piece(content=content, next_offset=offset + len(content), size_bytes=self.said, is_torn=is_torn)


class Capture:
    """One output of `src`, as far as it is there, and in `dst` once it has ended; without one it is only read.

    Each byte is cleaned once and stays as it was read. What is clean is kept where the attempt can neither change it
    nor take it away: in a file without a name. Of a long output it gets the head at once and the tail when it has
    ended; until then the last of it is in memory. Methods block, and may be called by several threads."""

    def __init__(
        self, src: Path, dst: Path | None, *, known: Callable[[], Known], bytes_max: int = LOG_BYTES_MAX
    ) -> None:
        """`known` is asked again for each piece: a secret may be new since. What was known once is never shown."""
        self._src, self._dst = src, dst
        self._known = known
        self._head_bytes = _head_bytes(bytes_max)
        self._tail_bytes = bytes_max - self._head_bytes
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._secrets: list[tuple[str, str]] = []
        self._kept = self._kept_open()
        self._begin()

    def __del__(self) -> None:
        """Whoever gives an output up may not know who still reads it."""
        self._kept.close()

    def _kept_open(self) -> IO[bytes]:
        return tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=str(self._src.parent))

    def _begin(self) -> None:
        self._read_bytes = self._seen = self._size = 0
        self._tail = bytearray()
        self._cleaning: _Cleaning | None = None
        self._redaction = credentials.Redaction()
        self._is_finished = False

    def is_little(self) -> bool:
        """Whether nobody else is at it, and little has come since in which nothing begins like a credential: taking
        that blocks for less than a millisecond."""
        if self._lock.locked() or self._redaction.is_holding:
            return False
        try:
            with printed.printed_open(self._src) as source:
                source.seek(self._read_bytes)
                new = source.read(_LITTLE_BYTES + 1)
        except FileNotFoundError:
            return False
        return len(new) <= _LITTLE_BYTES and not credentials.is_begun(new)

    def remember(self) -> None:
        """Take note of the secrets of now, which nothing that is written from now on may show. Reads no output."""
        with self._lock:
            self._secrets_note(self._known())

    def take(self) -> int:
        """Clean what has come since; answers how much there is by now."""
        with self._lock:
            self._take()
            return self._seen

    def read(self, *, offset: int, length: int) -> Piece:
        """Clean what has come since, and read a piece of all that."""
        with self._lock:
            self._take()
            if self._is_finished:
                return log_piece(self._kept, self._size, offset=offset, length=length, bytes_max=self._bytes_max)
            tail_from = self._seen - len(self._tail)
            parts = _Parts(
                head=self._size, tail_from=tail_from, said=self._seen, read=self._kept_read, read_tail=self._tail_read
            )
            return parts.piece(offset, length)

    def finish(self) -> int:
        """Clean the rest of an output that has ended; answers how much there is in `dst` then."""
        with self._lock:
            if not self._is_finished:
                self._advance(is_last=True)
                self._is_finished = True
            return self._size

    def _take(self) -> None:
        if not self._is_finished:
            self._advance(is_last=False)

    def _kept_read(self, start: int, count: int) -> bytes:
        self._kept.seek(start)
        return self._kept.read(count)

    def _tail_read(self, start: int, count: int) -> bytes:
        return bytes(self._tail[start : start + count])

    def _advance(self, *, is_last: bool) -> None:
        try:
            with printed.printed_open(self._src) as source:
                # Whoever writes faster than we clean must not keep a reader waiting for ever.
                end = os.fstat(source.fileno()).st_size
                source.seek(self._read_bytes)
                self._kept.seek(self._size)
                while is_last or self._read_bytes < end:
                    chunk = source.read(_CHUNK_BYTES)
                    self._read_bytes += len(chunk)
                    if chunk or is_last:
                        for piece in self._clean(chunk, is_last=not chunk):
                            self._keep(piece)
                    if not chunk:
                        break
                if is_last:
                    self._close()
                self._kept.flush()
        except OSError:
            with suppress(OSError):  # Half a piece may be written: the next one begins anew, and comes to the same.
                self._kept.close()
            self._kept = self._kept_open()
            self._begin()
            raise

    def _clean(self, chunk: bytes, *, is_last: bool) -> Iterator[bytes]:
        # Asked after the reading: whatever stands in the piece was known before it was written.
        known = self._known()
        if self._secrets_note(known) or self._cleaning is None:
            held = self._cleaning
            self._cleaning = _Cleaning(_Replacements(known, also=self._secrets), goes_on=held)
        # What is known goes first: its mark says which it was.
        return self._redaction.feed(b"".join(self._cleaning.feed(chunk, is_last=is_last)), is_last=is_last)

    def _secrets_note(self, known: Known) -> bool:
        new = [secret for secret in known.secrets.items() if secret not in self._secrets]
        self._secrets += new
        return bool(new)

    def _keep(self, piece: bytes) -> None:
        room = max(0, self._head_bytes - self._seen)
        self._size += self._kept.write(piece[:room])
        self._seen += len(piece)
        self._tail += piece[room:]
        if len(self._tail) > self._tail_bytes + _CHUNK_BYTES:
            del self._tail[: -self._tail_bytes]

    def _close(self) -> None:
        if left_out := max(0, self._seen - self._bytes_max):
            self._size += self._kept.write(_LEFT_OUT.format(left_out, self._seen).encode())
        self._size += self._kept.write(self._tail[-self._tail_bytes :])
        self._tail.clear()
        if self._dst is not None:
            self._copy(self._dst)

    def _copy(self, dst: Path) -> None:
        """It lies where the attempt could reach it: what was put in its place is taken away."""
        if dst.is_dir() and not dst.is_symlink():
            shutil.rmtree(dst)
        else:
            dst.unlink(missing_ok=True)
        self._kept.seek(0)
        with open(dst, "xb") as target:
            shutil.copyfileobj(self._kept, target)


def _head_bytes(bytes_max: int) -> int:
    return bytes_max - bytes_max // _TAIL_SHARE


class _Replacements:
    """What is looked for, the longest first, and what takes its place."""

    def __init__(self, known: Known, *, also: Collection[tuple[str, str]] = ()) -> None:
        self._literal: dict[bytes, bytes] = {}
        self._ends: dict[bytes, bytes] = {}
        self._beside: dict[bytes, dict[bytes, bytes]] = {}
        short: set[bytes] = set()
        named = {path: f"[{name}]".encode() for name, path in known.directories.items()}
        # What comes later wins where two are the same directory.
        for directory, word in (*named.items(), (known.home, b"~"), (known.worktree_root, b".")):
            if directory is None or len(directory.parts) < 2:
                continue
            for path in {str(directory), str(directory.resolve())}:
                for text in _forms(path):
                    self._literal[text] = word
                    self._ends[text] = _NAME_ENDS
                    if directory in named and len(directory.parts) == 2:
                        short.add(text)
        for name, value in _told_apart((*also, *known.secrets.items())):
            if secrecy.is_everyday(value):
                self._beside_note(name, value)
                continue
            for text in _forms(value):
                self._literal[text] = _redacted(name)
                self._ends.pop(text, None)
                short.discard(text)
        ordered = sorted(self._literal, key=len, reverse=True)
        names = sorted(self._beside, key=len, reverse=True)
        self._values = [self._beside[name] for name in names]
        self._unsaid = {name: _unsaid(values) for name, values in self._beside.items()}
        self.pattern = re.compile(
            b"|".join(
                (
                    *(
                        (_NAME_BEGINS if text in short else b"") + re.escape(text) + self._ends.get(text, b"")
                        for text in ordered
                    ),
                    # The only groups: each tells by its number which name it was.
                    *(re.escape(name) + _SAYS + b"(" + _any_of(self._beside[name]) + b")" + _GOES_ON for name in names),
                )
            )
            or _NEVER
        )
        beside = (len(name) + _SAYS_BYTES_MAX + max(map(len, values)) + 2 for name, values in self._beside.items())
        self._longest_bytes = max((*map(len, ordered), *beside), default=0)
        self._by_first: dict[int, list[bytes]] = {}
        for text in (*ordered, *names):
            self._by_first.setdefault(text[0], []).append(text)
        self._firsts = re.compile(b"[" + re.escape(bytes(self._by_first)) + b"]" if self._by_first else _NEVER)

    def _beside_note(self, name: str, value: str) -> None:
        if not value:
            return
        for text in _forms(value):
            self._literal.setdefault(b":" + text + b"@", b":" + _redacted(name) + b"@")
        # What follows a space in a name tells which of its values it is.
        setting = name.partition(" ")[0]
        for said in (setting, setting.upper(), setting.lower(), setting.lower().replace("_", "-"), *_PASSWORD_NAMES):
            for spelled in (said, said.capitalize(), said.upper()) if said in _PASSWORD_NAMES else (said,):
                values = self._beside.setdefault(spelled.encode("utf-8", errors="surrogateescape"), {})
                for text in _forms(value):
                    values.setdefault(text, _redacted(name))

    def replacement(self, found: re.Match[bytes]) -> bytes:
        """What takes the place of this text."""
        if found.lastindex is None:
            return self._literal[found[0]]
        said = found.string[found.start() : found.start(found.lastindex)]
        return said + self._values[found.lastindex - 1][found[found.lastindex]]

    def undecided_from(self, text: bytes, start: int) -> int:
        """Where the end of `text` begins of which only what follows tells whether it is looked for."""
        for match in self._firsts.finditer(text, max(start, len(text) - self._longest_bytes)):
            rest = text[match.start() :]
            for literal in self._by_first[rest[0]]:
                # A directory's name, or a word, must be seen to end.
                if literal.startswith(rest) and (len(literal) > len(rest) or literal in self._ends):
                    return match.start()
                unsaid = self._unsaid.get(literal)
                if unsaid is not None and rest.startswith(literal) and unsaid.match(rest, len(literal)):
                    return match.start()
        return len(text)


class _Cleaning:
    """A stream in the middle: what is undecided is held back, one byte before it is remembered for what it begins."""

    def __init__(self, replacements: _Replacements, *, goes_on: "_Cleaning | None" = None) -> None:
        self._replacements = replacements
        self._held: bytes = b"" if goes_on is None else goes_on._held
        self._before: bytes = b"" if goes_on is None else goes_on._before

    def feed(self, chunk: bytes, *, is_last: bool) -> Iterator[bytes]:
        """What can be said once this has come."""
        text = self._before + self._held + chunk
        done = len(self._before)
        while True:
            decided = len(text) if is_last else self._replacements.undecided_from(text, done)
            for match in self._replacements.pattern.finditer(text, done):
                if match.start() >= decided:
                    break
                yield text[done : match.start()]
                yield self._replacements.replacement(match)
                done = match.end()
                if done > decided:
                    break
            if done <= decided:
                break
            # What was undecided is taken up by a match that began before it: look at the rest anew.
        yield text[done:decided]
        self._held = text[decided:]
        self._before = text[max(0, decided - 1) : decided]


def _told_apart(secrets: Collection[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The secrets, and the passwords and keys that stand in them: an environment that was passed on is known by its
    values."""
    values = {value for _, value in secrets}
    for name, value in secrets:
        yield from ((f"{name} key", part) for part in secrecy.keys_in(value) if part not in values)
        yield from ((f"{name} password", part) for part in secrecy.passwords_in(value) if part not in values)
    yield from secrets


def _redacted(name: str) -> bytes:
    return f"[redacted:{name}]".encode()


def _any_of(texts: Collection[bytes]) -> bytes:
    return b"|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True))


def _unsaid(values: Collection[bytes]) -> re.Pattern[bytes]:
    """What may stand behind a name at the end of a text while its value, or what ends that, is still to come."""
    begun = {value[:length] for value in values for length in range(1, len(value))}
    ended = b"(?:" + _any_of(values) + b")[.:!?]?"
    return re.compile(b"(?:" + _SAYS + b"(?:" + ended + b"|" + _any_of(begun) + rb")?)?\Z")


def _forms(text: str) -> set[bytes]:
    return set(_written(text))


def _written(text: str) -> tuple[bytes, ...]:
    """The ways in which a text may be written, always in the same order: executors print JSON lines, where it may stand
    escaped, by any of the usual encoders."""
    forms = (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    both = (*forms, *(form.replace("/", "\\/") for form in forms))
    return tuple(form.encode("utf-8", errors="surrogateescape") for form in both)
