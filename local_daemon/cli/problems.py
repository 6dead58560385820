"""What an error is for a program that reads `--json`: the members that the daemon's own refusals have, whoever found
the error.

Deliberately no words of its own, and no exit codes: those are `exit_codes`. Called by `main`, only where something went
wrong. Tests: tests/unit/daemon/cli/test_problems.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import click

from local_daemon.client.errors import ContentDamaged, DaemonUnreachable
from local_daemon.config.home import HomeUnsafe, HomeUnusable
from local_daemon.identity.places import HomeCopied
from local_daemon.protocol import errors
from local_daemon.service.errors import ServiceRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What the error table has no row for, since no daemon ever answers it; `http` is what a server would have said."""

    code: str
    http: int
    retryable: bool = False


_OF_THIS_SIDE: Mapping[type[Exception], _Row] = MappingProxyType(
    {
        DaemonUnreachable: _Row(code="daemon_unreachable", http=503, retryable=True),
        ContentDamaged: _Row(code="content_damaged", http=502),
        HomeUnsafe: _Row(code="home_unsafe", http=403),
        HomeUnusable: _Row(code="home_unusable", http=409),
        HomeCopied: _Row(code="home_copied", http=409),
        ServiceRefused: _Row(code="service_refused", http=503),
    }
)
EXPECTED: tuple[type[Exception], ...] = (errors.RopewayError, *_OF_THIS_SIDE)
"""What a command may end with besides a complaint about how it was called."""


def problem_of(error: Exception) -> dict[str, Any]:
    """Its type, title, status, code, whether it may be tried again, and what it says. How a command was called, and
    what it found wrong itself, is an invalid request; what nobody expected is internal."""
    if isinstance(error, errors.RopewayError):
        return error.problem()
    if isinstance(error, click.ClickException):
        return errors.InvalidRequest(error.format_message()).problem()
    row = _OF_THIS_SIDE.get(type(error))
    if row is None:
        return errors.Internal().problem()
    return {
        "type": f"urn:ropeway:error:{row.code}",
        "title": row.code.replace("_", " "),
        "status": row.http,
        "detail": errors.said(error),
        "code": row.code,
        "retryable": row.retryable,
    }
