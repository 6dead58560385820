"""The connector's key: made once, kept private, never replaced unasked."""

import stat
from pathlib import Path

import pytest

from connector_agent import config as settings
from connector_agent import identity


@pytest.fixture
def home(tmp_path: Path) -> settings.Home:
    return settings.Home(root=tmp_path / "connector's home")


def test_the_key_is_made_once_for_its_owner_alone(home: settings.Home) -> None:
    made = identity.identity_ensure(home)
    assert identity.identity_ensure(home).public_key == made.public_key
    assert stat.S_IMODE(home.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700


@pytest.mark.parametrize("content", [b"", b"no key", b"AAAA", b"\xff\xfe", b"A" * 44])
def test_a_damaged_key_is_said_and_left_as_it_is(home: settings.Home, content: bytes) -> None:
    identity.identity_ensure(home)
    home.key.write_bytes(content)
    with pytest.raises(identity.KeyDamaged):
        identity.identity_ensure(home)
    assert home.key.read_bytes() == content


def test_a_lost_key_is_said_where_only_the_enrolled_one_will_do(home: settings.Home) -> None:
    with pytest.raises(identity.KeyMissing):
        identity.identity_read(home)
    assert not home.key.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_that_others_may_read_is_refused(home: settings.Home, mode: int) -> None:
    identity.identity_ensure(home)
    home.key.chmod(mode)
    with pytest.raises(identity.KeyExposed):
        identity.identity_ensure(home)
