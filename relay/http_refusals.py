"""What HTTP has a status of its own for, and the table of errors none: media types, names, pace, preconditions.

Each is an error of the table, by its code, told with HTTP's status in place of the table's; deliberately no further
code. Raised by `http_messages`, the MCP transport, and the cloud's mounts, doors and routes.
Tests: tests/unit/relay/test_http_refusals.py.
"""

from dataclasses import replace
from typing import ClassVar

from local_daemon.protocol import errors


class _WithStatus(errors.RopewayError):
    """An error whose status is HTTP's own."""

    status: ClassVar[int]

    @property
    def row(self) -> errors.ErrorRow:
        """The code's line of the table, but for the status."""
        return replace(errors.TABLE[self.code], http=self.status)


class NotAcceptable(_WithStatus, errors.InvalidRequest):
    """Accept application/json and text/event-stream: an answer comes as either."""

    status = 406


class BodyTooSlow(_WithStatus, errors.DeadlineExceeded):
    """The body did not arrive in time; nothing was done."""

    status = 408


class UnsupportedMediaType(_WithStatus, errors.InvalidRequest):
    """Send the body as application/json."""

    status = 415


class PreconditionRequired(_WithStatus, errors.PreconditionFailed):
    """Send If-Match with the ETag that you read, so that nobody's change is lost; nothing was changed."""

    status = 428


class Misdirected(_WithStatus, errors.Forbidden):
    """Nothing is served by the name that the Host header gives."""

    status = 421
