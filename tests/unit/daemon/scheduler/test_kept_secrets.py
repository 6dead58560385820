"""The secrets of an attempt's start are known for as long as its raw output is there, and readable by nobody else."""

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local_daemon.protocol import ids
from local_daemon.scheduler import kept_secrets

SECRETS = {"TEAM_KEY": "sk-live-0123456789", "OTHER": "ünïcode-value"}


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "att_1").mkdir()
    return tmp_path / "att_1"


def test_they_are_kept_for_a_later_daemon_and_not_in_clear(scratch: Path, tmp_path: Path) -> None:
    key = tmp_path / "secrets.key"
    kept_secrets.secrets_keep(key, scratch, SECRETS)
    assert dict(kept_secrets.secrets_kept(key, scratch)) == SECRETS
    for path in (key, scratch / "secrets"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert b"sk-live" not in path.read_bytes()


def test_of_another_home_or_another_attempt_nothing_is_read(
    scratch: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = tmp_path / "secrets.key"
    kept_secrets.secrets_keep(key, scratch, SECRETS)
    other = tmp_path / "att_2"
    other.mkdir()
    (other / "secrets").write_bytes((scratch / "secrets").read_bytes())
    assert kept_secrets.secrets_kept(key, other) == ()
    key.unlink()
    assert kept_secrets.secrets_kept(key, scratch) == ()
    assert [record.message for record in caplog.records] == ["secrets of an attempt can't be read"] * 2


def test_a_pipe_that_a_hook_puts_in_their_place_is_not_waited_for(
    scratch: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = tmp_path / "secrets.key"
    kept_secrets.secrets_keep(key, scratch, SECRETS)
    (scratch / "secrets").unlink()
    os.mkfifo(scratch / "secrets")
    assert kept_secrets.secrets_kept(key, scratch) == ()
    assert [record.message for record in caplog.records] == ["secrets of an attempt can't be read"]
    kept_secrets.secrets_keep(key, scratch, SECRETS)
    assert dict(kept_secrets.secrets_kept(key, scratch)) == SECRETS


def test_each_step_has_a_key_of_its_own_that_stays_the_same(scratch: Path, tmp_path: Path) -> None:
    key = tmp_path / "secrets.key"
    kept_secrets.secrets_keep(key, scratch, SECRETS)
    one, other = (kept_secrets.step_key(key, ids.StepId(step_id)) for step_id in ("step_1", "step_2"))
    kept_secrets.secrets_keep(key, scratch, SECRETS)
    assert kept_secrets.step_key(key, ids.StepId("step_1")) == one != other
    assert bytes.fromhex(key.read_text()) not in (one, other)


def test_where_others_can_not_be_kept_those_that_were_stay(
    scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    key = tmp_path / "secrets.key"
    kept_secrets.secrets_keep(key, scratch, SECRETS)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            kept_secrets.secrets_keep(key, scratch, {"TEAM_KEY": "sk-live-9876543210"})
    assert dict(kept_secrets.secrets_kept(key, scratch)) == SECRETS


def test_attempts_that_begin_at_once_make_one_key(tmp_path: Path) -> None:
    key, places = tmp_path / "secrets.key", [tmp_path / f"att_{number}" for number in range(8)]
    for place in places:
        place.mkdir()
    with ThreadPoolExecutor(len(places)) as threads:
        list(threads.map(lambda place: kept_secrets.secrets_keep(key, place, SECRETS), places))
    assert [dict(kept_secrets.secrets_kept(key, place)) for place in places] == [SECRETS] * len(places)


def test_an_attempt_of_which_none_were_kept_has_none(scratch: Path, tmp_path: Path) -> None:
    assert kept_secrets.secrets_kept(tmp_path / "secrets.key", scratch) == ()


@pytest.mark.parametrize("damaged", [b"", b"not hexadecimal", b"abcd", b"\xff\x00"])
def test_a_damaged_key_stops_no_attempt_and_the_next_one_reads_what_is_kept_from_then_on(
    scratch: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, damaged: bytes
) -> None:
    key = tmp_path / "secrets.key"
    key.write_bytes(damaged)
    kept_secrets.secrets_keep(key, scratch, SECRETS)
    assert dict(kept_secrets.secrets_kept(key, scratch)) == SECRETS
    assert [record.message for record in caplog.records] == ["the key of kept secrets is damaged; there is a new one"]
