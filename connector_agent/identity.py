"""The connector's Ed25519 key: made on this machine, never leaving it.

Tests: tests/unit/connector/test_identity.py.
"""

import base64
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connector_agent import config


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
    if not home.key.exists():
        home.prepare()
        raw = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        )
        config.private_write(home.key, base64.b64encode(raw).decode("ascii"))
    return Identity(key=Ed25519PrivateKey.from_private_bytes(base64.b64decode(home.key.read_text(encoding="ascii"))))
