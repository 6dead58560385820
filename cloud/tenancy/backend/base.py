"""Django's PostgreSQL backend, plus one thing: every statement runs in the tenant scope that is open.

In a transaction the scope travels in front of its first statement; in autocommit, in front of each one: a simple
query of two statements is one implicit transaction, so the setting is local to it and costs no round trip. Why a
subclass and not a middleware: ADR 0004. Tests: tests/integration/cloud/tenancy/.
"""

from collections.abc import Callable
from typing import Any

import psycopg
from django.db import transaction
from django.db.backends.postgresql import base

from cloud.tenancy import database_roles
from cloud.tenancy import scope as scopes

# These must run in an aborted transaction, where nothing else may.
_UNSCOPED = ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")
_SET = "SELECT set_config('app.organization_id', %s, true), set_config('role', %s, true)"


def _settings_of(scope: str) -> tuple[str, str]:
    if scope == scopes.OPERATOR:
        return "", database_roles.OPERATOR
    return scope, "none"


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that tells PostgreSQL who is in scope."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers = [self._scoped]
        # What the open transaction was told; None when a savepoint's rollback made that unknown.
        self._applied: str | None = scopes.NOBODY

    def _scoped(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        want = scopes.current()
        if want == self._applied or str(sql).startswith(_UNSCOPED):
            return execute(sql, params, many, context)
        in_autocommit = self.get_autocommit()
        cursor = context["cursor"].cursor
        if not many and isinstance(sql, str) and isinstance(cursor, psycopg.ClientCursor):
            result = self._prefixed(execute, sql, params, want, context)
            cursor.nextset()
        elif in_autocommit:
            with transaction.atomic(using=self.alias):
                return self._scoped(execute, sql, params, many, context)
        else:
            with self.wrap_database_errors, self.connection.cursor() as plain:
                plain.execute(_SET, _settings_of(want))
            result = execute(sql, params, many, context)
        if not in_autocommit:
            self._applied = want
        return result

    def _prefixed(self, execute: Callable[..., Any], sql: str, params: Any, want: str, context: dict[str, Any]) -> Any:
        settings = _settings_of(want)
        if isinstance(params, list | tuple):
            return execute(f"{_SET}; {sql}", (*settings, *params), False, context)
        # Both values are ours (a UUID, a role's name), so they may stand as literals beside an unparametrized
        # statement.
        prefix = _SET.replace("%s", "'{}'").format(*settings)
        return execute(f"{prefix}; {sql}", params, False, context)

    def set_autocommit(self, *args: Any, **kwargs: Any) -> None:
        """A transaction begins or ended: nothing of it was told yet."""
        self._applied = scopes.NOBODY
        super().set_autocommit(*args, **kwargs)

    def connect(self) -> None:
        """A new connection knows nothing."""
        self._applied = scopes.NOBODY
        super().connect()

    def _commit(self) -> Any:
        self._applied = scopes.NOBODY
        return super()._commit()  # type: ignore[misc]  # the stubs leave it out

    def _rollback(self) -> Any:
        self._applied = scopes.NOBODY
        return super()._rollback()  # type: ignore[misc]  # the stubs leave it out

    def _savepoint_rollback(self, sid: str) -> None:
        super()._savepoint_rollback(sid)  # type: ignore[misc]  # the stubs leave it out
        self._applied = None
