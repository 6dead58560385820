"""A signature vouches for exactly one manifest by one key."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from local_daemon.evidence import signing

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
OTHER = base64.b64encode(Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()).decode()


def test_a_signed_manifest_verifies() -> None:
    signature = signing.evidence_sign(b"{}", sign=KEY.sign)
    assert signing.evidence_verify(b"{}", signature=signature, public_key=PUBLIC)


def test_another_manifest_or_key_does_not() -> None:
    signature = signing.evidence_sign(b"{}", sign=KEY.sign)
    assert not signing.evidence_verify(b"{ }", signature=signature, public_key=PUBLIC)
    assert not signing.evidence_verify(b"{}", signature=signature, public_key=OTHER)


def test_what_the_key_signed_for_another_purpose_does_not_count() -> None:
    signature = base64.b64encode(KEY.sign(b"{}")).decode()
    assert not signing.evidence_verify(b"{}", signature=signature, public_key=PUBLIC)


@pytest.mark.parametrize(("signature", "key"), [("", PUBLIC), ("%%%", PUBLIC), ("AAAA", PUBLIC), ("AAAA", "AAAA")])
def test_what_is_no_signature_or_key_is_just_wrong(signature: str, key: str) -> None:
    assert not signing.evidence_verify(b"{}", signature=signature, public_key=key)
