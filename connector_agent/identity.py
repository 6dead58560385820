"""The connector's Ed25519 key: made on this machine at enrollment, never leaving it, never replaced unasked.

A key that is lost or damaged is said, not made anew: the cloud would not know a new one. Called by `enrollment` and
`dialer`.

Tests: tests/unit/connector/test_identity.py.
"""

import base64
import binascii
import stat
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connector_agent import config


class KeyMissing(config.ConfigInvalid):
    """The connector's private key is gone; restore the file `key`, or enroll again."""


class KeyDamaged(config.ConfigInvalid):
    """The file `key` holds no private key; restore it, or remove it and enroll again."""


class KeyExposed(config.ConfigInvalid):
    """Others may read the file `key`: make it yours alone (chmod 600), and enroll anew if it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The key, at work."""

    key: Ed25519PrivateKey

    @property
    def public_key(self) -> str:
        """The public key, base64 of its 32 bytes."""
        raw = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return base64.b64encode(raw).decode("ascii")

    def proof(self, message: bytes) -> str:
        """The signature of a message, base64."""
        return base64.b64encode(self.key.sign(message)).decode("ascii")


def identity_ensure(home: config.Home) -> Identity:
    """The identity in the home directory, made there on first use."""
    try:
        return identity_read(home)
    except KeyMissing:
        home.prepare()
        raw = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        )
        config.private_write(home.key, base64.b64encode(raw).decode("ascii"))
    return identity_read(home)


def identity_read(home: config.Home) -> Identity:
    """The identity in the home directory. Raises KeyMissing, KeyDamaged, KeyExposed."""
    try:
        content = config.file_read(home.key)
        mode = home.key.stat().st_mode
    except FileNotFoundError as error:
        raise KeyMissing from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyExposed
    try:
        return Identity(key=Ed25519PrivateKey.from_private_bytes(base64.b64decode(content.strip(), validate=True)))
    except (binascii.Error, ValueError) as error:
        raise KeyDamaged from error
