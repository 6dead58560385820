import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloud.secrets import rings


def test_a_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    first = rings.key_ring("ROPEWAY_SOME_KEY", kept_in=tmp_path)
    assert rings.key_ring("ROPEWAY_SOME_KEY", kept_in=tmp_path) == first
    assert [len(key) for key in first] == [32]
    assert stat.S_IMODE((tmp_path / "ropeway_some_key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["ropeway_some_key"]


def test_processes_that_start_together_agree_on_the_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = {future.result() for future in [threads.submit(rings.key_ring, "K", kept_in=tmp_path) for _ in range(8)]}
    assert len(made) == 1


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROPEWAY_SOME_KEY", base64.b64encode(b"k" * 32).decode())
    assert rings.key_ring("ROPEWAY_SOME_KEY", kept_in=tmp_path) == (b"k" * 32,)
    assert not list(tmp_path.iterdir())


def test_production_makes_no_key_up() -> None:
    with pytest.raises(rings.MissingKey, match="ROPEWAY_SOME_KEY"):
        rings.key_ring("ROPEWAY_SOME_KEY", kept_in=None)


def test_a_short_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROPEWAY_SOME_KEY", base64.b64encode(b"short").decode())
    with pytest.raises(rings.MissingKey, match="32 bytes"):
        rings.key_ring("ROPEWAY_SOME_KEY", kept_in=None)


def test_a_rotated_ring_has_a_fresh_key_in_front(tmp_path: Path) -> None:
    before = rings.key_ring("ROPEWAY_SOME_KEY", kept_in=tmp_path)
    assert rings.key_ring_rotated("ROPEWAY_SOME_KEY", kept_in=tmp_path) is None
    after = rings.key_ring("ROPEWAY_SOME_KEY", kept_in=tmp_path)
    assert after[1:] == before
    assert after[0] not in before
    assert stat.S_IMODE((tmp_path / "ropeway_some_key").stat().st_mode) == 0o600


def test_a_ring_in_the_environment_is_answered_and_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ROPEWAY_SOME_KEY", base64.b64encode(b"k" * 32).decode())
    rotated = rings.key_ring_rotated("ROPEWAY_SOME_KEY", kept_in=tmp_path)
    assert rotated is not None
    monkeypatch.setenv("ROPEWAY_SOME_KEY", rotated)
    assert rings.key_ring("ROPEWAY_SOME_KEY", kept_in=None)[1] == b"k" * 32
    assert not list(tmp_path.iterdir())
