"""The signature over a manifest: Ed25519 by the daemon's own key, bound to what is signed.

Keeps no key: `identity` does. Called by the scheduler and `ropeway verify`.
Tests: tests/unit/daemon/evidence/test_signing.py.
"""

import base64
import binascii
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_DOMAIN = b"ropeway-evidence-manifest\x00"
"""Keeps a signature under a manifest from being passed off as one under anything else the key signs."""


def evidence_sign(manifest: bytes, *, sign: Callable[[bytes], bytes]) -> str:
    """The signature of a manifest's bytes, base64. `sign` is the daemon's key at work: bytes in, 64 bytes out."""
    return base64.b64encode(sign(_DOMAIN + manifest)).decode("ascii")


def evidence_verify(manifest: bytes, *, signature: str, public_key: str) -> bool:
    """Whether the key signed exactly these bytes; False for a signature or key that is none."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), _DOMAIN + manifest)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True
