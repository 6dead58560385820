"""Idempotency keys: what a caller may choose as one, and the call that it stands for on a machine.

A key is no second way of remembering: it names a call, whose answer is kept under its id like any other's. Pure.
Called by the daemon's doors. Tests: tests/unit/daemon/protocol/test_idempotency.py.
"""

import hashlib
import re

from local_daemon.protocol import errors, ids

KEY_PATTERN = r"^[!-~]{1,200}$"
"""Printable ASCII, without spaces."""

_KEY = re.compile(KEY_PATTERN)


def call_id_of_key(key: str, *, actor: str) -> ids.CallId:
    """The one call that this key stands for among the actor's own. Raises InvalidRequest for what is no key."""
    if _KEY.fullmatch(key) is None:
        raise errors.InvalidRequest("An idempotency key has 1 to 200 printable ASCII characters, without spaces.")
    # A key holds no NUL, so no two pairs of key and actor are written the same.
    return ids.call_id_from(hashlib.sha256(f"idempotency key\0{key}\0{actor}".encode()).digest())
