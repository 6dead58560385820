"""Django's PostgreSQL backend, plus two things: every statement runs in the tenant scope that is open, and what can
travel together does.

In a transaction its BEGIN and the scope travel in front of the first statement; in autocommit the scope in front of
each one: a simple query of several statements is one implicit transaction, so the setting is local to it. A statement
that answers nothing may be put off (`execute_later`) and then travels with the next one, or with the COMMIT. None of it
costs a round trip. Why a subclass and not a middleware: ADR 0004. Tests: tests/integration/cloud/tenancy/.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
from django.db import transaction
from django.db.backends.postgresql import base
from psycopg import abc, adapt, generators, pq

from cloud.tenancy import database_roles
from cloud.tenancy import scope as scopes

# These must run in an aborted transaction, where nothing else may.
_UNSCOPED = ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")
_IDLE = pq.TransactionStatus.IDLE
_INTRANS = pq.TransactionStatus.INTRANS
_DONE = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)


def _scope_setting(scope: str) -> str:
    """Both values are ours (a UUID, a role's name), so they may stand as literals. Said with SET, which nobody has to
    plan and nothing answers."""
    organization_id, role = ("", database_roles.OPERATOR) if scope == scopes.OPERATOR else (scope, "NONE")
    return f"SET LOCAL app.organization_id = '{organization_id}'; SET LOCAL ROLE {role}"


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that tells PostgreSQL who is in scope."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers = [self._scoped]
        # What the open transaction was told; None when that is unknown: after a savepoint's rollback, or a failure.
        self._applied: str | None = scopes.NOBODY
        # Writes parameters as literals; one a connection, for it learns how on the first of each type.
        self._literals: abc.Transformer | None = None
        # What was put off, ready to be sent, and the scope it was put off in.
        self._later: list[str] = []
        self._later_scope = scopes.NOBODY

    def execute_later(self, sql: str, params: Sequence[Any] | Mapping[str, Any]) -> None:
        """Run a statement that answers nothing with the open transaction's next one, or with its commit, which then
        raises what the statement raises. Outside a transaction it runs at once."""
        if self.get_autocommit():
            with self.cursor() as cursor:
                cursor.execute(sql, params)
            return
        if self._later and self._later_scope != scopes.current():
            self._send_due(self._later_scope)
        with self.wrap_database_errors:
            self._later.append(self._filled(sql, params) if params else sql)
        self._later_scope = scopes.current()

    def _filled(self, sql: str, params: Sequence[Any] | Mapping[str, Any]) -> str:
        """What `ClientCursor.mogrify` makes of them, which learns each type anew every time."""
        if self._literals is None:
            self._literals = adapt.Transformer(self.connection)
        as_literal = self._literals.as_literal

        def literal(value: Any) -> str:
            return "NULL" if value is None else str(as_literal(value), "utf-8")

        if isinstance(params, Mapping):
            return sql % {name: literal(value) for name, value in params.items()}
        return sql % tuple(map(literal, params))

    def _scoped(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        want = scopes.current()
        if str(sql).startswith(_UNSCOPED):
            return self._around_savepoint(execute, sql, params, many, context)
        if self._later and self._later_scope != want:
            self._send_due(self._later_scope)
        due = self._due(want)
        if not due:
            return execute(sql, params, many, context)
        cursor = context["cursor"].cursor
        if not many and isinstance(sql, str) and isinstance(cursor, psycopg.ClientCursor):
            front = "; ".join(due)
            if params is not None:
                front = front.replace("%", "%%")
            try:
                result = execute(f"{front}; {sql}", params, False, context)
            except BaseException:
                self._failed(want)
                raise
            self._took(want)
            while cursor.nextset():
                pass
            return result
        if self.get_autocommit():
            with transaction.atomic(using=self.alias):
                return self._scoped(execute, sql, params, many, context)
        self._send_due(want)
        return execute(sql, params, many, context)

    def _due(self, scope: str) -> list[str]:
        """What the server must hear before a statement in this scope."""
        due = []
        if not self.get_autocommit() and self.connection.pgconn.transaction_status == _IDLE:
            due.append("BEGIN")
        if scope != self._applied:
            due.append(_scope_setting(scope))
        return due + self._later

    def _send_due(self, scope: str, *, last: str | None = None) -> None:
        """Send what is due by itself, `last` after it."""
        due = self._due(scope) + ([last] if last else [])
        if not due:
            return
        try:
            self._send("; ".join(due))
        except BaseException:
            self._failed(scope)
            raise
        self._took(scope)

    def _send(self, statements: str) -> None:
        """Run what answers nothing: what a cursor does, without making one."""
        with self.wrap_database_errors:
            self.connection.pgconn.send_query(statements.encode())
            for result in self.connection.wait(generators.execute(self.connection.pgconn)):
                if result.status not in _DONE:
                    raise psycopg.errors.error_from_result(result)

    def _took(self, scope: str) -> None:
        self._later.clear()
        if not self.get_autocommit():
            self._applied = scope

    def _failed(self, scope: str) -> None:
        """What was sent raised. Where the transaction is not aborted by it, none of it ran: the driver did not send it,
        or the server could not read it. Then nobody knows the scope, and what was put off still waits."""
        if self.get_autocommit() or self.connection.pgconn.transaction_status not in (_IDLE, _INTRANS):
            self._took(scope)
        else:
            self._applied = None

    def _around_savepoint(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        """What was put off belongs to this side of the savepoint's begin or end."""
        if str(sql).startswith("ROLLBACK"):
            self._later.clear()
        elif self._later:
            self._send_due(self._later_scope)
        elif self.connection.pgconn.transaction_status == _IDLE:
            self._send_due(scopes.current())
        return execute(sql, params, many, context)

    def _set_autocommit(self, autocommit: bool) -> None:
        """psycopg stays in autocommit: it would send BEGIN by itself, and wait for the answer."""
        is_open = self.connection.pgconn.transaction_status != _IDLE
        if not self.connection.autocommit or (autocommit and is_open):
            super()._set_autocommit(True)  # type: ignore[misc]  # the stubs leave it out

    def set_autocommit(self, *args: Any, **kwargs: Any) -> None:
        """A transaction begins or ended: nothing of it was told yet."""
        self._forget()
        super().set_autocommit(*args, **kwargs)

    def connect(self) -> None:
        """A new connection knows nothing."""
        self._forget()
        self._literals = None
        super().connect()

    def _forget(self) -> None:
        self._applied = scopes.NOBODY
        self._later.clear()

    def _commit(self) -> Any:
        if self._later and self.connection is not None:
            try:
                self._send_due(self._later_scope, last="COMMIT")
            finally:
                self._forget()
            return None
        self._forget()
        return super()._commit()  # type: ignore[misc]  # the stubs leave it out

    def _rollback(self) -> Any:
        self._forget()
        return super()._rollback()  # type: ignore[misc]  # the stubs leave it out

    def _savepoint_rollback(self, sid: str) -> None:
        super()._savepoint_rollback(sid)  # type: ignore[misc]  # the stubs leave it out
        self._applied = None
