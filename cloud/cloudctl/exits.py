"""With which status a command ends, and how it says why: stable, for scripts.

    0 done · 1 failed · 2 wrong usage · 3 not found · 4 refused · 5 conflict with what is there · 6 try again later
    7 waits for a decision

Tests: tests/integration/cloud/cloudctl/.
"""

import json
import sys
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any

import click

from cloud.cloudctl import printing
from local_daemon.protocol import errors, terminals


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0  # as asked
    FAILED = 1  # it did not hold, or something broke
    USAGE = 2  # the command line or a value on it is wrong
    NOT_FOUND = 3  # no such thing
    REFUSED = 4  # it must not be done
    CONFLICT = 5  # what is there does not allow it; look, then try again
    LATER = 6  # a limit, or something is away
    WAITING = 7  # a run that was waited for waits for somebody's decision


TABLE = """\b
Exit status: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused,
5 conflict with what is there, 6 try again later, 7 waits for a decision."""

_OF_STATUS: Mapping[int, Exit] = MappingProxyType(
    {
        400: Exit.USAGE,
        401: Exit.REFUSED,
        403: Exit.REFUSED,
        404: Exit.NOT_FOUND,
        409: Exit.CONFLICT,
        410: Exit.CONFLICT,
        412: Exit.CONFLICT,
        429: Exit.LATER,
        503: Exit.LATER,
        504: Exit.LATER,
    }
)


def exit_of(error: errors.RopewayError) -> Exit:
    """The status of a command that ended with this."""
    return _OF_STATUS.get(error.row.http, Exit.FAILED)


def complain(error: errors.RopewayError) -> None:
    """Say what went wrong, on standard error: a sentence and each field at fault, or a problem for a program."""
    if not printing.is_for_people():
        click.echo(json.dumps(error.problem(), default=str), err=True)
        return
    click.echo(terminals.plain_lines(f"Error: {error.detail}"), err=True)
    for item in error.attributes.get("errors") or []:
        click.echo(
            terminals.plain_lines(f"  {item.get('field')}: {item.get('problem') or item.get('message')}"), err=True
        )


class Commands(click.Group):
    """A group whose commands may raise errors of the one table; says them on standard error."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a refusal becomes a sentence (or a problem, for a program) and a status."""
        try:
            return super().invoke(ctx)
        except errors.RopewayError as error:
            complain(error)
            sys.exit(exit_of(error))
