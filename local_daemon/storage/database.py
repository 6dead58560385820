"""The record's file: SQLite in WAL mode, one writer thread with group commit, short reads inline on the event loop.

Whatever waits in the queue becomes one transaction with a savepoint per item, so that one failing item fails alone, and
one disk sync serves all. `synchronous=FULL` throughout: with group commit it costs next to nothing, and what was
acknowledged survives a power cut. Deliberately no SQL of any noun. Opened by `bootstrap`.
Tests: tests/unit/daemon/storage/test_database.py.
"""

import asyncio
import errno
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, Self, TypeVar

from local_daemon.protocol import errors, failpoints, ids
from local_daemon.storage import errors as storage_errors
from local_daemon.storage import schema
from local_daemon.storage.transaction import Transaction
from local_daemon.storage.wake import Wake

logger = logging.getLogger(__name__)

T = TypeVar("T")
Connection = sqlite3.Connection
Row = sqlite3.Row

BATCH_ITEMS = 200
BUSY_TIMEOUT_MS = 5000
CACHED_STATEMENTS = 256
_UNREADABLE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN})
_REFUSALS: Mapping[int, str | None] = MappingProxyType({
    sqlite3.SQLITE_FULL: None,
    sqlite3.SQLITE_READONLY: "The machine's disk, or its record, is read-only; nothing was changed.",
    sqlite3.SQLITE_IOERR: "The machine's disk fails; nothing was changed.",
})  # fmt: skip
"""What SQLite says of a disk that takes nothing, and how that is told."""


def utc_now() -> datetime:
    """The machine's clock, aware."""
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True)
class _Item(Generic[T]):
    """One change on its way to the writer, then its outcome on the way back."""

    label: str
    change: Callable[[Transaction], T]
    call_id: ids.CallId | None
    future: asyncio.Future[T]
    result: T | None = None
    error: BaseException | None = None


class Database:
    """The one door to the record. `write` may be awaited by any number of tasks of one event loop."""

    def __init__(
        self,
        *,
        path: Path,
        writer: Connection,
        reader: Connection,
        clock: Callable[[], datetime],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Use `open`."""
        self.wake = Wake()
        self._path = path
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._loop = loop
        self._queue: queue.SimpleQueue[_Item[Any] | None] = queue.SimpleQueue()
        self._is_closed = False
        self._thread = threading.Thread(target=self._serve, name="record-writer", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, path: Path, *, clock: Callable[[], datetime] = utc_now) -> Self:
        """Open or create the record and bring its schema up to date; call it on the running event loop. Raises
        SchemaTooNew for a file of a newer version."""
        writer = writer_open(path)
        return cls(path=path, writer=writer, reader=reader_open(path), clock=clock, loop=asyncio.get_running_loop())

    async def write(self, label: str, change: Callable[[Transaction], T], *, call_id: ids.CallId | None = None) -> T:
        """Apply `change` and return its result once it is durable. What it raises is raised here and changes nothing;
        StorageFull if the disk is. A caller that goes away does not undo it. `label` names the failpoints."""
        if self._is_closed:
            raise storage_errors.DatabaseClosed
        item: _Item[T] = _Item(label=label, change=change, call_id=call_id, future=self._loop.create_future())
        self._queue.put(item)
        return await item.future

    def read(self, query: Callable[[Connection], T]) -> T:
        """The result of a short, indexed query over one snapshot of everything committed. Blocks the event loop."""
        self._reader.execute("BEGIN")
        try:
            return query(self._reader)
        finally:
            self._reader.execute("COMMIT")

    async def read_aside(self, query: Callable[[Connection], T]) -> T:
        """The result of a query that may take long, over one snapshot of everything committed: in a thread, with a
        connection of its own, while the event loop goes on."""
        return await asyncio.to_thread(self._read_alone, query)

    def _read_alone(self, query: Callable[[Connection], T]) -> T:
        with closing(reader_open(self._path)) as reader:
            reader.execute("BEGIN")
            return query(reader)

    async def close(self) -> None:
        """Finish what was queued, then let go of the file."""
        if self._is_closed:
            return
        self._is_closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._reader.close()

    def _serve(self) -> None:
        is_open = True
        while is_open:
            first = self._queue.get()
            is_open = first is not None
            batch = [] if first is None else [first]
            while is_open and len(batch) < BATCH_ITEMS and not self._queue.empty():
                item = self._queue.get()
                if item is None:
                    is_open = False
                else:
                    batch.append(item)
            if batch:
                self._report(batch, self._commit(batch))
        self._writer.close()

    def _commit(self, batch: list[_Item[Any]]) -> set[str]:
        """Run the batch as one transaction; every item holds its outcome afterwards. Returns the topics touched."""
        touched: set[str] = set()
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for item in batch:
                touched |= self._apply(item)
            for item in batch:
                failpoints.failpoint(f"daemon.{item.label}.before_commit")
            self._writer.execute("COMMIT")
        except Exception as error:  # the outermost frame of the batch: without a commit, every caller must hear of it
            told = _readable(error)
            if told is error:
                logger.exception("a transaction of the record failed", extra={"event": "record.commit_failed"})
            else:
                logger.warning("nothing was put on record: %s", told, extra={"event": "record.refused"})
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            for item in batch:
                item.error = told
            return set()
        for item in batch:
            failpoints.failpoint(f"daemon.{item.label}.after_commit")
        return touched

    def _apply(self, item: _Item[Any]) -> set[str]:
        """Run one item inside its savepoint. Raises only what ends the whole transaction."""
        transaction = Transaction(connection=self._writer, now=self._clock(), call_id=item.call_id)
        self._writer.execute("SAVEPOINT item")
        try:
            item.result = item.change(transaction)
        except Exception as error:  # the outermost frame of the item: whatever it is belongs to its caller
            if not self._writer.in_transaction:
                # SQLite gave the whole transaction up, as it does on a full disk: nobody's item was kept.
                raise
            self._writer.execute("ROLLBACK TO item")
            self._writer.execute("RELEASE item")
            item.error = _readable(error)
            return set()
        self._writer.execute("RELEASE item")
        return transaction.touched

    def _report(self, batch: list[_Item[Any]], touched: set[str]) -> None:
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._settle, batch, touched)

    def _settle(self, batch: list[_Item[Any]], touched: set[str]) -> None:
        for item in batch:
            if item.future.done():
                continue
            if item.error is not None:
                item.future.set_exception(item.error)
            else:
                item.future.set_result(item.result)
        self.wake.announce(touched)


def writer_open(path: Path) -> Connection:
    """A connection that may write, its schema up to date; used from one thread at a time. Raises SchemaTooNew,
    RecordUnreadable, RecordReadOnly, StorageFull."""
    try:
        path.touch(mode=0o600)
    except PermissionError as error:
        raise storage_errors.RecordReadOnly from error
    except OSError as error:
        if error.errno == errno.EROFS:
            raise storage_errors.RecordReadOnly from error
        raise
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=CACHED_STATEMENTS
    )
    connection.row_factory = sqlite3.Row
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        schema.schema_migrate(connection, schema.migrations_shipped())
    except BaseException as error:
        connection.close()
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _UNREADABLE:
            raise storage_errors.RecordUnreadable from error
        if code == sqlite3.SQLITE_READONLY:
            raise storage_errors.RecordReadOnly from error
        if isinstance(error, Exception):
            raise _readable(error) from error
        raise
    return connection


def reader_open(path: Path) -> Connection:
    """A connection that can only read, for the thread that opens it; works while a daemon writes, and without one.
    Raises RecordUnreadable."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, cached_statements=CACHED_STATEMENTS
    )
    connection.row_factory = sqlite3.Row
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        raise storage_errors.RecordUnreadable from error
    return connection


def _readable(error: Exception) -> Exception:
    """A disk that takes nothing, in the words of the error table; anything else as it is."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, sqlite3.Error) and code is not None and code & 0xFF in _REFUSALS:
        full = errors.StorageFull(_REFUSALS[code & 0xFF])
        full.__cause__ = error
        return full
    return error
