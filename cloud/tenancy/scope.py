"""Who is in scope: one organization, the operator, or nobody. The context of row-level security.

Code says `with organization(id):` or `with operator():` and nothing else; the database backend of this package sends it
with every statement. Nobody sees nothing. Deliberately not nested: code in one tenant's name never becomes another's.
Tests: tests/integration/cloud/tenancy/test_scope.py.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import ParamSpec, TypeVar
from uuid import UUID

P = ParamSpec("P")
R = TypeVar("R")

NOBODY = ""
OPERATOR = "*"

_scope: ContextVar[str] = ContextVar("tenant_scope", default=NOBODY)


class ScopeError(RuntimeError):
    """Another scope is already open here; close it before opening this one."""


def current() -> str:
    """The open scope: an organization's id, OPERATOR or NOBODY."""
    return _scope.get()


@contextmanager
def _entered(value: str) -> Iterator[None]:
    have = _scope.get()
    if have not in (NOBODY, value):
        raise ScopeError(f"scope {have} is open, refusing {value}")
    token = _scope.set(value)
    try:
        yield
    finally:
        _scope.reset(token)


@contextmanager
def organization(org_id: UUID | str) -> Iterator[None]:
    """Everything inside sees and writes the rows of this organization only."""
    with _entered(str(UUID(str(org_id)))):
        yield


@contextmanager
def operator() -> Iterator[None]:
    """Everything inside sees every organization: for the installation's own upkeep, never on a tenant's behalf."""
    with _entered(OPERATOR):
        yield


def outside(fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call `fn` with nobody in scope, whoever is here: for who answers another credential than the one that opened
    this scope, or opens scopes of its own. Not inside a transaction."""
    context = copy_context()
    context.run(_scope.set, NOBODY)
    return context.run(fn, *args, **kwargs)
