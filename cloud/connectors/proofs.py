"""Whether a machine holds the key it shows. Pure. Tests: tests/unit/cloud/connectors/test_proofs.py."""

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from local_daemon.protocol import errors

_KEY_BYTES = 32


def public_key_bytes(text: str) -> bytes:
    """The raw key behind its base64 form. Raises InvalidRequest."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise errors.InvalidRequest("The public key is not base64.") from error
    if len(raw) != _KEY_BYTES:
        raise errors.InvalidRequest("A public key has 32 bytes.")
    return raw


def proof_check(*, public_key: bytes, proof: str, message: bytes) -> None:
    """Raise NotFound unless `proof` (base64) signs `message`: a claim without proof learns nothing, not even that the
    code was right."""
    try:
        signature = base64.b64decode(proof, validate=True)
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (binascii.Error, ValueError, InvalidSignature) as error:
        raise errors.NotFound from error
