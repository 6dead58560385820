import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloud.config import keys


def test_a_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    first = keys.key_bytes("ROPEWAY_SOME_KEY", kept_in=tmp_path)
    assert keys.key_bytes("ROPEWAY_SOME_KEY", kept_in=tmp_path) == first
    assert len(first) == 32
    assert stat.S_IMODE((tmp_path / "ropeway_some_key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["ropeway_some_key"]


def test_processes_that_start_together_agree_on_the_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = {future.result() for future in [threads.submit(keys.key_bytes, "K", kept_in=tmp_path) for _ in range(8)]}
    assert len(made) == 1


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROPEWAY_SOME_KEY", base64.b64encode(b"k" * 32).decode())
    assert keys.key_bytes("ROPEWAY_SOME_KEY", kept_in=tmp_path) == b"k" * 32
    assert not list(tmp_path.iterdir())


def test_production_makes_no_key_up() -> None:
    with pytest.raises(keys.MissingKey, match="ROPEWAY_SOME_KEY"):
        keys.key_bytes("ROPEWAY_SOME_KEY", kept_in=None)


def test_a_short_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROPEWAY_SOME_KEY", base64.b64encode(b"short").decode())
    with pytest.raises(keys.MissingKey, match="32 bytes"):
        keys.key_bytes("ROPEWAY_SOME_KEY", kept_in=None)
