import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from local_daemon.cli import downloads
from local_daemon.client.errors import ContentDamaged, DaemonUnreachable
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import errors, specs

CONTENT = b"0123456789" * 10


class Sending:
    """A daemon that sends these bytes in pieces of ten, as many as it lives for, and is heard where it began."""

    def __init__(self, content: bytes = CONTENT, *, pieces: int = 99) -> None:
        self.sent, self.pieces, self.offsets = content, pieces, list[int]()

    def content(self, parameters: dict[str, str], *, offset: int = 0) -> Iterator[bytes]:
        assert parameters == {"repository_id": "repo_1", "artifact_id": "art_1"}
        self.offsets.append(offset)
        for number, at in enumerate(range(offset, len(self.sent), 10)):
            if number == self.pieces:
                raise DaemonUnreachable("The daemon stopped.")
            yield self.sent[at : at + 10]

    def save(self, target: Path) -> None:
        downloads.content_save(cast(DaemonClient, self), "repo_1", view(), target, is_quiet=True)


def view() -> specs.ArtifactView:
    return specs.ArtifactView(
        artifact_id="art_1",
        step_id="step_1",
        attempt_id="att_1",
        kind="stdout",
        name="stdout",
        media_type="text/plain",
        size_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
    )


def test_what_came_before_it_broke_off_is_not_asked_for_again(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with pytest.raises(DaemonUnreachable, match="What came of stdout is kept: say it again to go on"):
        Sending(pieces=3).save(target)
    assert not target.exists()
    again = Sending()
    again.save(target)
    assert again.offsets == [30]
    assert target.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_that_is_there_stays_as_it_was_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"before")
    with pytest.raises(DaemonUnreachable):
        Sending(pieces=3).save(target)
    assert target.read_bytes() == b"before"


@pytest.mark.parametrize("sent", [CONTENT[:-1], CONTENT[:-1] + b"!", CONTENT + b"!"], ids=["less", "other", "more"])
def test_what_is_not_what_its_digest_says_is_not_kept(tmp_path: Path, sent: bytes) -> None:
    with pytest.raises(ContentDamaged):
        Sending(sent).save(tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_file_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidRequest, match="No such file or directory"):
        Sending().save(tmp_path / "no" / "out")
