"""Bytes are kept once, by their digest, and what was lost or damaged is noticed."""

import errno
import os
from pathlib import Path

import pytest

from local_daemon.artifacts.store import BlobStore
from local_daemon.protocol import errors, wire


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    """An empty store."""
    return BlobStore(tmp_path / "artifacts")


def _files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "artifacts").rglob("*") if path.is_file())


def test_bytes_come_back_as_they_were(blobs: BlobStore) -> None:
    blob = blobs.blob_put_bytes(b"evidence")
    assert (blob.sha256, blob.size_bytes) == (wire.sha256_hex(b"evidence"), 8)
    assert blobs.blob_read(blob.sha256) == b"evidence"
    assert blobs.blob_is_intact(blob.sha256)


def test_a_file_and_the_same_bytes_are_one_blob(blobs: BlobStore, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "output").write_bytes(content)
    blob = blobs.blob_put_file(tmp_path / "output")
    assert blobs.blob_put_bytes(content) == blob
    assert len(_files(tmp_path)) == 1
    assert (tmp_path / "output").exists()


def test_nobody_else_may_read_evidence(blobs: BlobStore, tmp_path: Path) -> None:
    blobs.blob_put_bytes(b"evidence")
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "artifacts").rglob("*")} == {0}


def test_missing_bytes_are_not_found(blobs: BlobStore) -> None:
    missing = "0" * 64
    with pytest.raises(errors.NotFound):
        blobs.blob_read(missing)
    assert not blobs.blob_is_intact(missing)
    assert not blobs.blob_exists(missing)


def test_damaged_bytes_are_never_handed_out_as_whole(blobs: BlobStore, tmp_path: Path) -> None:
    blob = blobs.blob_put_bytes(b"evidence")
    path = tmp_path / "artifacts" / blob.sha256[:2] / blob.sha256[2:]
    path.write_bytes(b"falsehood")
    with pytest.raises(errors.Internal):
        blobs.blob_read(blob.sha256)
    assert not blobs.blob_is_intact(blob.sha256)


def test_a_full_disk_is_storage_full_and_leaves_nothing(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(errors.StorageFull):
        blobs.blob_put_bytes(b"evidence")
    assert _files(tmp_path) == []


def test_what_a_crash_left_half_written_is_removed_at_the_next_start(blobs: BlobStore, tmp_path: Path) -> None:
    kept = blobs.blob_put_bytes(b"evidence")
    (tmp_path / "artifacts" / "incoming" / "half").write_bytes(b"evi")
    BlobStore(tmp_path / "artifacts").leftovers_remove()
    assert _files(tmp_path) == [kept.sha256[2:]]
