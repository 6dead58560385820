import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud.connectors import proofs
from local_daemon.protocol import errors

KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes_raw()


def signed(message: bytes) -> str:
    return base64.b64encode(KEY.sign(message)).decode()


def test_the_holder_of_the_key_is_believed() -> None:
    proofs.proof_check(public_key=PUBLIC, proof=signed(b"m"), message=b"m")


@pytest.mark.parametrize(
    "proof",
    [pytest.param(signed(b"other"), id="of-another-message"), "", "not base64!", base64.b64encode(b"short").decode()],
)
def test_a_claim_without_proof_learns_nothing(proof: str) -> None:
    with pytest.raises(errors.NotFound):
        proofs.proof_check(public_key=PUBLIC, proof=proof, message=b"m")


@pytest.mark.parametrize("text", ["", "%%%", base64.b64encode(b"short").decode()])
def test_a_key_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidRequest):
        proofs.public_key_bytes(text)
