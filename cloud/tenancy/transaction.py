"""One recorded change: a transaction, with a place before and after its commit where a test may kill the process.

Every write on the path of a call, an attempt or an event goes through `recorded`, with a literal label, so that the
crash journeys can enumerate them. Tests: tests/integration/cloud/tenancy/test_transaction.py.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, cast

from django.db import connection, transaction

from cloud.audit import statements
from cloud.tenancy.backend.base import DatabaseWrapper
from local_daemon.protocol.failpoints import failpoint

_is_open: ContextVar[bool] = ContextVar("recorded_is_open", default=False)


@contextmanager
def recorded(label: str) -> Iterator[None]:
    """Commit everything inside together, or nothing; inside another `recorded`, together with that one.

    Failpoints: `cloud.<label>.before_commit`, and `cloud.<label>.after_commit` right after the outermost commit."""
    # Joined to an open change there is no savepoint: half of a change is never kept, and two round trips are saved.
    with transaction.atomic(savepoint=not _is_open.get()):
        token = _is_open.set(True)
        try:
            transaction.on_commit(partial(failpoint, f"cloud.{label}.after_commit"))
            yield
            failpoint(f"cloud.{label}.before_commit")
        finally:
            _is_open.reset(token)


def execute_later(sql: str, params: Sequence[Any]) -> None:
    """Run a statement that answers nothing in the open transaction, without a round trip of its own: it travels with
    the next statement or with the commit, which then raises what it raises."""
    # Typed as the audit's port, which cannot name what fills it.
    ours: statements.Connection = cast(DatabaseWrapper, connection)
    ours.execute_later(sql, params)
