"""JSON documents that a command is given in a file, or on standard input: bounded, and read as the wire reads them.

Tests: tests/integration/cloud/cloudctl/test_schedules.py.
"""

from typing import Any, BinaryIO

from local_daemon.protocol import errors, limits, wire


def object_read(file: BinaryIO) -> dict[str, Any]:
    """A JSON object. Raises InvalidRequest, PayloadTooLarge."""
    found = _read(file)
    if not isinstance(found, dict):
        raise errors.InvalidRequest(f"{_called(file)}: not a JSON object.")
    return found


def list_read(file: BinaryIO) -> list[Any]:
    """A JSON list. Raises InvalidRequest, PayloadTooLarge."""
    found = _read(file)
    if not isinstance(found, list):
        raise errors.InvalidRequest(f"{_called(file)}: not a JSON list.")
    return found


def _read(file: BinaryIO) -> Any:
    text = file.read(limits.BODY_BYTES + 1)
    if len(text) > limits.BODY_BYTES:
        raise errors.PayloadTooLarge(limit=limits.BODY_BYTES)
    try:
        return wire.json_read(text)
    except ValueError as error:
        raise errors.InvalidRequest(f"{_called(file)}: {error}.") from None


def _called(file: BinaryIO) -> str:
    return str(getattr(file, "name", "standard input"))
