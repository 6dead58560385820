"""The installation's Ed25519 key: signing what the audit states, and which keys are believed.

A key that was replaced stays believed while AUDIT_FORMER_PUBLIC_KEYS (hexadecimal) names it. Called by `seal`,
`pruning`, `export` and `verify`. Tests: tests/integration/cloud/audit/.
"""

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature, and whose."""

    public_key: bytes
    signature: bytes


def sign(message: bytes) -> Signature:
    """Sign with the key in use."""
    key = Ed25519PrivateKey.from_private_bytes(settings.AUDIT_SIGNING_KEY)
    return Signature(public_key=key.public_key().public_bytes_raw(), signature=key.sign(message))


def believed_keys() -> list[bytes]:
    """The key in use, then those that were."""
    own = Ed25519PrivateKey.from_private_bytes(settings.AUDIT_SIGNING_KEY).public_key().public_bytes_raw()
    return [own, *(bytes.fromhex(key) for key in getattr(settings, "AUDIT_FORMER_PUBLIC_KEYS", ()))]


def is_signed(message: bytes, *, public_key: bytes, signature: bytes) -> bool:
    """Whether this key signed the message; says nothing on whether the key is believed."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True
