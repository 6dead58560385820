"""The installation's secrets: taken from the environment, or, where that is allowed, made once and kept in a private
file.

Each is a ring: the newest key signs and seals, former ones still verify and open until they are taken out. Production
sets the environment; local settings and the demo let them be made below `.var/`. Called by the settings and `cloudctl
keys`. Tests: tests/unit/cloud/secrets/test_rings.py.
"""

import base64
import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class MissingKey(Exception):
    """A secret of the installation is not set; the message names the environment variable."""


NAMES: Mapping[str, str] = MappingProxyType(
    {
        "secret": "ROPEWAY_SECRET_KEY",
        "token": "ROPEWAY_TOKEN_KEY",
        "audit": "ROPEWAY_AUDIT_SIGNING_KEY",
        "sealing": "ROPEWAY_SEALING_KEY",
    }
)
"""What each key is called on the command line, and its environment variable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationKeys:
    """Every key ring of an installation, each with its newest key first: that one signs, the others still verify."""

    secret: tuple[bytes, ...]
    token: tuple[bytes, ...]
    audit: tuple[bytes, ...]
    sealing: tuple[bytes, ...]

    @property
    def audit_former_public(self) -> list[str]:
        """The public keys of the audit's former signing keys, in hexadecimal."""
        return [
            Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw().hex() for key in self.audit[1:]
        ]


def installation_keys(*, kept_in: Path | None) -> InstallationKeys:
    """All of them. Raises MissingKey."""
    return InstallationKeys(**{word: key_ring(name, kept_in=kept_in) for word, name in NAMES.items()})


def key_ring(name: str, *, kept_in: Path | None) -> tuple[bytes, ...]:
    """Keys of 32 secret bytes, the newest first: base64, separated by commas, in the environment variable `name`, else
    from a file in `kept_in`, made on first use. Raises MissingKey where neither is possible."""
    given = os.environ.get(name)
    if given is None:
        if kept_in is None:
            raise MissingKey(f"Set {name} to 32 random bytes in base64, for example from `openssl rand -base64 32`.")
        given = _made_once(kept_in / name.lower()).decode()
    return _ring_of(name, given)


def key_ring_rotated(name: str, *, kept_in: Path | None) -> str | None:
    """Put a fresh key in front of the ring: in its file, or else as the environment variable's new value, which is
    answered. Processes take it up when they start anew."""
    value = ",".join(
        base64.b64encode(key).decode() for key in (secrets.token_bytes(32), *key_ring(name, kept_in=kept_in))
    )
    if name in os.environ or kept_in is None:
        return value
    draft = _draft(kept_in, value.encode())
    draft.replace(kept_in / name.lower())
    return None


def _ring_of(name: str, text: str) -> tuple[bytes, ...]:
    try:
        ring = tuple(base64.b64decode(part.strip(), validate=True) for part in text.split(","))
    except ValueError:
        ring = ()
    if not ring or any(len(key) != 32 for key in ring):
        raise MissingKey(f"{name} must be 32 bytes in base64; several are separated by commas, the newest first.")
    return ring


def _made_once(path: Path) -> bytes:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Written aside and linked into place: of two processes starting at once, both end up with the first one's key.
        draft = _draft(path.parent, base64.b64encode(secrets.token_bytes(32)))
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_bytes()


def _draft(folder: Path, content: bytes) -> Path:
    descriptor, draft = tempfile.mkstemp(dir=folder)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return Path(draft)
