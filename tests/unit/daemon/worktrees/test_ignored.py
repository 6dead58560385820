"""Ignored files: listed, and kept on the machine as far as they fit."""

import tarfile
from datetime import UTC, datetime

from local_daemon.worktrees import changes, ignored

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def test_ignored_files_are_kept_up_to_a_size_and_the_rest_is_named(made, tmp_path):
    (made.path / "build").mkdir()
    (made.path / "build/a").write_text("12")
    (made.path / "small.log").write_text("123")
    (made.path / "large.log").write_text("x" * 1000)
    (made.path / "link.log").symlink_to("/etc/hostname")
    taken = await changes.changes_capture(made, ref="refs/ropeway/r/s/a", message="m", captured_at=NOON)
    assert [file.path for file in taken.ignored] == ["build/", "large.log", "link.log", "small.log"]
    left_out = ignored.ignored_archive(made, taken.ignored, destination=tmp_path / "kept.tar", bytes_max=100)
    assert [file.path for file in left_out] == ["large.log"]
    with tarfile.open(tmp_path / "kept.tar") as archive:
        members = {member.name: member for member in archive}
    assert set(members) == {"build", "build/a", "small.log", "link.log"}
    assert members["link.log"].issym()


async def test_nothing_ignored_is_an_empty_list(made):
    taken = await changes.changes_capture(made, ref="refs/ropeway/r/s/a", message="m", captured_at=NOON)
    assert taken.ignored == ()
