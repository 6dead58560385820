"""Statements that answer nothing, put off: the one thing that the audit asks of the connection beyond Django's own.

A port: our database backend (`cloud/tenancy/backend`) fills it, and cannot be named here, for tenancy tells its changes
to the audit and so stands above. Deliberately nothing but the type; what is sent when is the backend's. Called by
`services` and `seal`. Tests: tests/integration/cloud/tenancy/test_transaction.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

from django.db import connection


class Connection(Protocol):
    """A connection on which statements can be put off."""

    def execute_later(self, sql: str, params: Sequence[Any] | Mapping[str, Any]) -> None:
        """Run it with the open transaction's next statement, or with its commit; outside of one, at once."""


def execute_later(sql: str, params: Sequence[Any] | Mapping[str, Any]) -> None:
    """Run a statement that answers nothing in the open transaction, without a round trip of its own; the next statement
    or the commit raises what it raises."""
    cast(Connection, connection).execute_later(sql, params)
