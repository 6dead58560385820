"""Writes are durable, isolated from each other, and told to who waits."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from local_daemon.protocol import errors, ids
from local_daemon.storage import database
from local_daemon.storage import errors as storage_errors
from local_daemon.storage.database import Connection, Database
from local_daemon.storage.transaction import Transaction


def _count(conn: Connection) -> int:
    return int(conn.execute("SELECT epoch FROM daemon").fetchone()[0])


def _add_one(tx: Transaction) -> int:
    return int(tx.execute("UPDATE daemon SET epoch = epoch + 1 RETURNING epoch").fetchone()[0])


def _add_one_and_fail(tx: Transaction) -> None:
    _add_one(tx)
    raise errors.PreconditionFailed


@pytest_asyncio.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Database]:
    """An open record."""
    opened = Database.open(tmp_path / "record.db")
    yield opened
    await opened.close()


async def test_a_write_is_readable_once_it_is_answered(opened: Database) -> None:
    assert await opened.write("count", _add_one) == 1
    assert opened.read(_count) == 1


async def test_a_failing_write_fails_alone_in_its_batch(opened: Database) -> None:
    outcomes = await asyncio.gather(
        *(opened.write("count", _add_one_and_fail if index % 3 == 0 else _add_one) for index in range(300)),
        return_exceptions=True,
    )
    failed = [isinstance(outcome, errors.PreconditionFailed) for outcome in outcomes]
    assert failed == [index % 3 == 0 for index in range(300)]
    assert opened.read(_count) == 200


async def test_a_sql_error_goes_to_its_caller_and_leaves_the_rest(opened: Database) -> None:
    outcomes = await asyncio.gather(
        opened.write("count", lambda tx: tx.execute("INSERT INTO nowhere VALUES (1)")),
        opened.write("count", _add_one),
        return_exceptions=True,
    )
    assert "nowhere" in str(outcomes[0])
    assert outcomes[1] == 1


async def test_writes_of_one_batch_see_each_other_in_order(opened: Database) -> None:
    assert await asyncio.gather(*(opened.write("count", _add_one) for _ in range(50))) == list(range(1, 51))


async def test_foreign_keys_are_enforced(opened: Database) -> None:
    with pytest.raises(Exception, match="FOREIGN KEY"):
        await opened.write(
            "task", lambda tx: tx.execute("INSERT INTO tasks (step_id, task) VALUES ('step_unknown', '{}')")
        )


async def test_a_caller_that_goes_away_does_not_undo_its_write(opened: Database) -> None:
    leaving = asyncio.ensure_future(opened.write("count", _add_one))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await opened.write("count", _add_one) == 2


async def test_a_full_disk_is_storage_full_and_changes_nothing(opened: Database) -> None:
    def fill(tx: Transaction) -> None:
        pages = tx.execute("PRAGMA page_count").fetchone()[0]
        tx.execute(f"PRAGMA max_page_count = {pages}")

    await opened.write("limit", fill)
    text = "x" * 100_000
    outcomes = await asyncio.gather(
        opened.write("count", _add_one),
        opened.write("fill", lambda tx: tx.execute(f"CREATE TABLE big AS SELECT '{text}' AS text")),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], errors.StorageFull)
    # What shared the transaction is either kept whole or told the same; never answered and lost.
    assert opened.read(_count) == (0 if isinstance(outcomes[0], errors.StorageFull) else 1)
    await opened.write("lift", lambda tx: tx.execute("PRAGMA max_page_count = 1000000"))
    assert await opened.write("count", _add_one) == opened.read(_count)


async def test_where_sqlite_gives_the_transaction_up_nobody_in_it_is_told_otherwise(opened: Database) -> None:
    def give_up(tx: Transaction) -> None:
        tx.execute("ROLLBACK")
        raise errors.PreconditionFailed

    is_busy, may_go_on = threading.Event(), threading.Event()
    busy = asyncio.ensure_future(opened.write("hold", lambda _: (is_busy.set(), may_go_on.wait())))
    await asyncio.to_thread(is_busy.wait)
    batch = asyncio.gather(
        opened.write("count", _add_one),
        opened.write("give_up", give_up),
        opened.write("count", _add_one),
        return_exceptions=True,
    )
    await asyncio.sleep(0)
    may_go_on.set()
    await busy
    rest = await batch
    assert [type(outcome) for outcome in rest] == [errors.PreconditionFailed] * 3
    assert opened.read(_count) == 0
    assert await opened.write("count", _add_one) == 1


async def test_a_record_that_became_read_only_says_so(opened: Database) -> None:
    await opened.write("refuse", lambda tx: tx.execute("PRAGMA query_only = ON"))
    with pytest.raises(errors.StorageFull, match="read-only"):
        await opened.write("count", _add_one)
    assert opened.read(_count) == 0


async def test_a_reader_sees_one_moment_and_cannot_write(opened: Database) -> None:
    with pytest.raises(Exception, match="readonly"):
        opened.read(lambda conn: conn.execute("UPDATE daemon SET epoch = 9"))
    assert opened.read(_count) == 0


async def test_a_long_read_aside_keeps_nobody_waiting_and_sees_what_was_committed(opened: Database) -> None:
    await opened.write("count", _add_one)
    went_on = threading.Event()

    def query(conn: Connection) -> tuple[int, int]:
        before = _count(conn)
        assert went_on.wait(20), "the event loop was held up"
        return before, _count(conn)

    reading = asyncio.ensure_future(opened.read_aside(query))
    await opened.write("count", _add_one)
    went_on.set()
    before, after = await reading
    assert before == after
    assert await opened.read_aside(_count) == 2


async def test_a_read_aside_changes_nothing(opened: Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await opened.read_aside(lambda conn: conn.execute("UPDATE daemon SET epoch = 7"))


async def test_closing_finishes_what_was_queued_and_refuses_what_comes_later(tmp_path: Path) -> None:
    opened = Database.open(tmp_path / "record.db")
    queued = [asyncio.ensure_future(opened.write("count", _add_one)) for _ in range(10)]
    await asyncio.sleep(0)
    await opened.close()
    assert await asyncio.gather(*queued) == list(range(1, 11))
    with pytest.raises(storage_errors.DatabaseClosed):
        await opened.write("count", _add_one)
    await opened.close()


async def test_a_savepoint_undoes_only_what_was_inside(opened: Database) -> None:
    def apply(tx: Transaction) -> int:
        _add_one(tx)
        with pytest.raises(errors.NotFound), tx.savepoint():
            _add_one(tx)
            raise errors.NotFound
        return _add_one(tx)

    assert await opened.write("count", apply) == 2


async def test_every_item_has_one_instant_and_its_call(opened: Database) -> None:
    call_id = ids.CallId(ids.new_id(ids.IdPrefix.CALL))
    seen = await opened.write(
        "look", lambda tx: (tx.now == tx.now, tx.now.tzinfo is not None, tx.call_id), call_id=call_id
    )
    assert seen == (True, True, call_id)


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    database.writer_open(tmp_path / "record.db").close()
    assert (tmp_path / "record.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("moment", "kept"), [("before_commit", 0), ("after_commit", 1)])
def test_a_crash_at_a_failpoint_keeps_exactly_what_was_committed(tmp_path: Path, moment: str, kept: int) -> None:
    path = tmp_path / "record.db"
    program = (
        "import asyncio, pathlib, sys\n"
        "from local_daemon.storage.database import Database\n"
        "async def main():\n"
        "    opened = Database.open(pathlib.Path(sys.argv[1]))\n"
        "    await opened.write('count', lambda tx: tx.execute('UPDATE daemon SET epoch = epoch + 1'))\n"
        "asyncio.run(main())\n"
    )
    environment = {**os.environ, "ROPEWAY_ENV": "test", "ROPEWAY_FAILPOINT": f"daemon.count.{moment}"}
    ended = subprocess.run([sys.executable, "-c", program, str(path)], env=environment, check=False)
    assert ended.returncode == -signal.SIGKILL
    reader = database.reader_open(path)
    assert _count(reader) == kept
    reader.close()
