import base64
import stat
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from local_daemon.identity import keys
from local_daemon.protocol import ids


def test_an_identity_is_made_once(tmp_path: Path) -> None:
    made = keys.identity_ensure(tmp_path / "identity.json")
    again = keys.identity_ensure(tmp_path / "identity.json")
    assert (made.instance_id, made.public_key) == (again.instance_id, again.public_key)
    assert ids.is_id(ids.IdPrefix.INSTANCE, made.instance_id)


def test_what_is_signed_verifies_with_the_public_key_and_nothing_else_does(tmp_path: Path) -> None:
    identity = keys.identity_ensure(tmp_path / "identity.json")
    public_key = Ed25519PublicKey.from_public_bytes(base64.b64decode(identity.public_key))
    public_key.verify(identity.sign(b"evidence"), b"evidence")
    with pytest.raises(InvalidSignature):
        public_key.verify(identity.sign(b"evidence"), b"other")


def test_key_and_token_can_be_read_by_their_owner_only(tmp_path: Path) -> None:
    keys.identity_ensure(tmp_path / "identity.json")
    keys.token_ensure(tmp_path / "token")
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_token_is_made_once_and_long_enough(tmp_path: Path) -> None:
    token = keys.token_ensure(tmp_path / "token")
    assert keys.token_ensure(tmp_path / "token") == token
    assert len(token) >= 43


@pytest.mark.parametrize(("shown", "matches"), [("secret", True), ("secre", False), ("", False), ("sécret", False)])
def test_only_the_whole_token_matches(shown: str, matches: bool) -> None:
    assert keys.token_matches(shown, "secret") is matches
