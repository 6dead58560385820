"""The installation's secrets: taken from the environment, or, where that is allowed, made once and kept in a private
file.

Production sets the environment; local settings and the demo let them be made below `.var/`. Tests:
tests/unit/cloud/config/test_keys.py.
"""

import base64
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path


class MissingKey(Exception):
    """A secret of the installation is not set; the message names the environment variable."""


def key_bytes(name: str, *, kept_in: Path | None) -> bytes:
    """32 secret bytes: base64 in the environment variable `name`, else from a file in `kept_in`, made on first use.
    Raises MissingKey where neither is possible."""
    given = os.environ.get(name)
    if given is not None:
        decoded = base64.b64decode(given, validate=True)
        if len(decoded) != 32:
            raise MissingKey(f"{name} must be 32 bytes in base64.")
        return decoded
    if kept_in is None:
        raise MissingKey(f"Set {name} to 32 random bytes in base64, for example from `openssl rand -base64 32`.")
    return base64.b64decode(_made_once(kept_in / name.lower()))


def _made_once(path: Path) -> bytes:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Written aside and linked into place: of two processes starting at once, both end up with the first one's key.
        descriptor, draft = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(32)))
        with suppress(FileExistsError):
            os.link(draft, path)
        Path(draft).unlink()
    return path.read_bytes()
