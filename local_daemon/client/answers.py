"""What the daemon says, read as this version has it: an answer, a line of a stream, the view that an event carries.

A daemon outlives updates of the command, and the reverse; what can't be read is told as another version's, never as a
defect. Called by `http` and by the commands that follow events. Tests: tests/unit/daemon/client/test_http.py,
tests/unit/daemon/cli/test_board.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from local_daemon.protocol import errors, events

M = TypeVar("M", bound=BaseModel)

_OTHER_VERSION = (
    "This command does not understand the daemon's answer: they are of different versions. Restart the daemon with "
    "`ropeway daemon stop`, or `ropeway service install` where it is a service; what was asked may have been done."
)


def answer_read(model: type[M], content: bytes) -> M:
    """An answer, or a piece of one. Raises ProtocolMismatch."""
    with _understood():
        return model.model_validate_json(content)


def view_read(model: type[M], record: events.EventRecord, name: str) -> M:
    """The view of that name that the event carries. Raises ProtocolMismatch."""
    with _understood():
        return model.model_validate(record.data.get(name))


@contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise errors.ProtocolMismatch(_OTHER_VERSION) from error
