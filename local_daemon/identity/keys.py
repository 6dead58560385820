"""Who this daemon is: its id, the key that signs evidence, and the token its clients show.

All three are made on first use and kept in the home directory, readable by its owner only. Called by `bootstrap`,
`client` and `ropeway verify`. Tests: tests/unit/daemon/identity/test_keys.py.
"""

import base64
import hmac
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from local_daemon.config import home as homes
from local_daemon.protocol import ids

_TOKEN_BYTES = 32


class IdentityDamaged(Exception):
    """The daemon's identity.json can't be read; restore it from a backup. Without it this is another machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The daemon's id and signing key, and the public keys of those it had before, which signed older evidence."""

    instance_id: ids.InstanceId
    key: Ed25519PrivateKey
    former_public_keys: tuple[str, ...] = ()

    def sign(self, content: bytes) -> bytes:
        """The Ed25519 signature of the bytes."""
        return self.key.sign(content)

    @property
    def public_key(self) -> str:
        """The public key, base64 of its 32 bytes."""
        return base64.b64encode(self.key.public_key().public_bytes_raw()).decode("ascii")


def identity_ensure(path: Path) -> Identity:
    """The identity in the file, made there on first use. Raises IdentityDamaged rather than making another one."""
    if not path.exists():
        _identity_write(path, former_public_keys=())
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Identity(
            instance_id=ids.InstanceId(document["instance_id"]),
            key=Ed25519PrivateKey.from_private_bytes(base64.b64decode(document["private_key"])),
            former_public_keys=tuple(str(key) for key in document.get("former_public_keys", ())),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IdentityDamaged from error


def identity_renew(path: Path) -> Identity:
    """Another identity in place of the one in the file, whose public key is kept: what it signed still holds. Raises
    IdentityDamaged."""
    former = identity_ensure(path)
    _identity_write(path, former_public_keys=(*former.former_public_keys, former.public_key))
    return identity_ensure(path)


def _identity_write(path: Path, *, former_public_keys: tuple[str, ...]) -> None:
    document = {
        "instance_id": ids.new_id(ids.IdPrefix.INSTANCE),
        "private_key": base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode("ascii"),
        "former_public_keys": list(former_public_keys),
    }
    homes.private_write(path, json.dumps(document))


def token_ensure(path: Path) -> str:
    """The token in the file, made there on first use, and anew where what is there is too short to be one."""
    token = path.read_text(encoding="utf-8", errors="replace").strip() if path.exists() else ""
    if len(token) < _TOKEN_BYTES:
        # An empty file must not become a token that everybody knows.
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        homes.private_write(path, token)
    return token


def token_matches(shown: str, expected: str) -> bool:
    """Whether the token shown is the right one, in constant time."""
    return hmac.compare_digest(shown.encode("utf-8", errors="replace"), expected.encode("utf-8"))
