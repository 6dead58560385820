"""Where the bytes of evidence lie: one file per content, named by its SHA-256, written once and never changed.

A file is complete and on disk before its name exists, so a crash leaves at most a nameless leftover. Deliberately
ignorant of what the bytes are evidence of; the rows are `services`'. Called by the scheduler and content reads.
Tests: tests/unit/daemon/artifacts/test_store.py.
"""

import errno
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from local_daemon.artifacts.records import Blob
from local_daemon.protocol import errors, wire

_READ_BYTES = 1024 * 1024
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_INCOMING = "incoming"


class BlobStore:
    """Content-addressed files below one directory. Its methods block; large contents belong in a thread."""

    def __init__(self, root: Path) -> None:
        """Use `root`, a directory of the daemon's own; made if it is missing."""
        self._root = root
        self._lock = threading.Lock()
        (root / _INCOMING).mkdir(mode=0o700, parents=True, exist_ok=True)

    def leftovers_remove(self) -> None:
        """Remove what a crash left half-written; only for the daemon itself, while it starts."""
        for leftover in (self._root / _INCOMING).iterdir():
            leftover.unlink()

    def blob_put_bytes(self, content: bytes) -> Blob:
        """Keep these bytes; durable on return. Raises StorageFull."""
        blob = Blob(sha256=wire.sha256_hex(content), size_bytes=len(content))
        if not self._is_kept(blob):
            with self._incoming_file() as (path, file):
                file.write(content)
                self._keep(path, file, blob)
        return blob

    def blob_put_file(self, source: Path) -> Blob:
        """Keep a copy of a file's bytes; durable on return. Raises StorageFull."""
        digest, size = hashlib.sha256(), 0
        with source.open("rb") as original, self._incoming_file() as (path, file):
            while piece := original.read(_READ_BYTES):
                digest.update(piece)
                size += len(piece)
                file.write(piece)
            blob = Blob(sha256=digest.hexdigest(), size_bytes=size)
            if not self._is_kept(blob):
                self._keep(path, file, blob)
        return blob

    def blob_remove(self, sha256: str, *, untouched_s: float = 3600) -> bool:
        """Let these bytes go, and say whether they are gone: not if somebody has just kept the same again, whose
        evidence may not be on record yet."""
        path = self._path(sha256)
        with self._lock:
            try:
                if time.time() - path.stat().st_mtime < untouched_s:
                    return False
                path.unlink()
            except FileNotFoundError:
                pass  # Gone already.
        return True

    def blob_open(self, sha256: str) -> BufferedReader:
        """The bytes, for reading. Raises NotFound if they are gone from the disk."""
        try:
            return self._path(sha256).open("rb")
        except FileNotFoundError:
            raise errors.NotFound("The bytes of this artifact are not on the machine any more.") from None

    def blob_exists(self, sha256: str) -> bool:
        """Whether there are bytes under this digest; says nothing about whether they are whole."""
        return self._path(sha256).is_file()

    def blob_read(self, sha256: str) -> bytes:
        """All the bytes, checked against their digest. Raises NotFound, and Internal if they were damaged."""
        with self.blob_open(sha256) as file:
            content = file.read()
        if wire.sha256_hex(content) != sha256:
            raise errors.Internal("The bytes of this artifact are damaged on the machine.", sha256=sha256)
        return content

    def blob_is_intact(self, sha256: str) -> bool:
        """Whether the bytes are there and are what their digest says."""
        try:
            with self.blob_open(sha256) as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except errors.NotFound:
            return False

    def _path(self, sha256: str) -> Path:
        return self._root / sha256[:2] / sha256[2:]

    def _is_kept(self, blob: Blob) -> bool:
        path = self._path(blob.sha256)
        with self._lock:
            # A name exists only once its bytes are durable; should they have been lost since, they are kept anew.
            is_kept = path.is_file() and path.stat().st_size == blob.size_bytes
            if is_kept:
                os.utime(path)  # For `blob_remove`.
            return is_kept

    @contextmanager
    def _incoming_file(self) -> Iterator[tuple[Path, BinaryIO]]:
        path = self._root / _INCOMING / secrets.token_hex(16)
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                yield path, file
        except OSError as error:
            if error.errno in _FULL:
                raise errors.StorageFull from error
            raise
        finally:
            path.unlink(missing_ok=True)

    def _keep(self, path: Path, file: BinaryIO, blob: Blob) -> None:
        file.flush()
        os.fsync(file.fileno())
        target = self._path(blob.sha256)
        is_new_folder = not target.parent.exists()
        target.parent.mkdir(mode=0o700, exist_ok=True)
        path.replace(target)
        _sync_directory(target.parent)
        if is_new_folder:
            _sync_directory(self._root)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
