"""What the daemon says, read as this version has it: an answer, a line of a stream, the view that an event carries.

A daemon outlives updates of the command, and the reverse; what can't be read is told as another version's, never as a
defect. Called by `http` and by the commands that follow events. Tests: tests/unit/daemon/client/test_http.py,
tests/unit/daemon/cli/test_board.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from local_daemon.protocol import errors, events, faults

M = TypeVar("M", bound=BaseModel)

_RESTART = "Restart the daemon with `ropeway daemon stop`, or `ropeway service install` where it is a service"
_OTHER_VERSION = (
    "This command does not understand the daemon's answer: they are of different versions. "
    f"{_RESTART}; what was asked may have been done."
)
_OTHER_REQUEST = (
    "The daemon does not understand what this command asks: they are of different versions. "
    f"{_RESTART}; nothing of what was asked was done."
)
_UNKNOWN = (faults.UNKNOWN_FIELD, faults.UNKNOWN_FIELD_BEFORE)


def answer_read(model: type[M], content: bytes) -> M:
    """An answer, or a piece of one. Raises ProtocolMismatch."""
    with _understood():
        return model.model_validate_json(content)


def view_read(model: type[M], record: events.EventRecord, name: str) -> M:
    """The view of that name that the event carries. Raises ProtocolMismatch."""
    with _understood():
        return model.model_validate(record.data.get(name))


@contextmanager
def request_understood() -> Iterator[None]:
    """For asking what was made by this version's own models. Raises ProtocolMismatch where the daemon knows one of its
    fields not."""
    try:
        yield
    except errors.InvalidRequest as error:
        if any(problem in _UNKNOWN for problem in _problems(error)):
            raise errors.ProtocolMismatch(_OTHER_REQUEST) from error
        raise


def _problems(error: errors.RopewayError) -> Iterator[Any]:
    said = error.attributes.get("errors")
    return (each.get("problem") for each in (said if isinstance(said, list) else ()) if isinstance(each, dict))


@contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise errors.ProtocolMismatch(_OTHER_VERSION) from error
