"""The outputs of attempts at work, without an attempt: what is open, what is left, and what is not there."""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from local_daemon.attempts import records
from local_daemon.processes import capture
from local_daemon.protocol import errors, ids, limits, states
from local_daemon.scheduler import live_logs, outputs, workshop

ATTEMPT = ids.AttemptId(ids.new_id(ids.IdPrefix.ATTEMPT))
SECRET = "sk-live-0123456789"


def known() -> capture.Known:
    return capture.Known(worktree_root=Path("/w/tree"), home=None, secrets={"KEY": SECRET})


@pytest.fixture
def opened(tmp_path: Path) -> outputs.Outputs:
    opened = outputs.Outputs()
    opened.open(ATTEMPT, tmp_path, known=known)
    return opened


def test_what_was_said_so_far_can_be_read_and_then_all_of_it(opened: outputs.Outputs, tmp_path: Path) -> None:
    (tmp_path / "stdout").write_text("one /w/tree/a\n")
    piece = opened.read(ATTEMPT, "stdout", offset=4, length=100)
    assert piece == capture.Piece(content=b"./a\n", next_offset=8, size_bytes=8)
    with open(tmp_path / "stdout", "a") as file:
        file.write(SECRET)
    cleaned = opened.finish(ATTEMPT, "stdout")
    assert cleaned is not None
    assert cleaned.read_bytes() == b"one ./a\n[redacted:KEY]"


@pytest.mark.parametrize(("said", "is_little"), [("running 3 tests\n", True), ("password: " * 400, False)])
async def test_what_is_not_little_is_cleaned_while_everything_else_goes_on(
    opened: outputs.Outputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, is_little: bool
) -> None:
    (tmp_path / "stdout").write_text(said)
    read_in, real = [], outputs.Outputs.read

    def read(*arguments: Any, **options: Any) -> capture.Piece | None:
        read_in.append(threading.current_thread())
        return real(*arguments, **options)

    monkeypatch.setattr(outputs.Outputs, "read", read)
    logs = live_logs.LiveLogs(cast(workshop.Workshop, SimpleNamespace(outputs=opened)))
    attempt = cast(records.Attempt, SimpleNamespace(attempt_id=ATTEMPT, state=states.AttemptState.RUNNING))
    piece = await logs.read(attempt, "stdout", offset=0, length=10)
    assert piece is not None
    assert piece.content == said[:10].encode()
    assert [each is threading.current_thread() for each in read_in] == [is_little]


def test_an_attempt_that_said_nothing_leaves_nothing(opened: outputs.Outputs, tmp_path: Path) -> None:
    assert opened.read(ATTEMPT, "stdout", offset=0, length=1) is None
    assert opened.finish(ATTEMPT, "stdout") is None
    (tmp_path / "stderr").touch()
    assert opened.finish(ATTEMPT, "stderr") is None


@pytest.mark.parametrize("offset", [5, limits.SEQ_MAX])
def test_an_offset_beyond_what_is_there_is_refused(opened: outputs.Outputs, tmp_path: Path, offset: int) -> None:
    (tmp_path / "stdout").write_text("one\n")
    with pytest.raises(errors.RangeInvalid):
        opened.read(ATTEMPT, "stdout", offset=offset, length=1)
    with open(tmp_path / "stdout", "rb") as log, pytest.raises(errors.RangeInvalid):
        outputs.log_read(log, 4, offset=offset, length=1)


def test_what_is_closed_is_read_no_more(opened: outputs.Outputs, tmp_path: Path) -> None:
    (tmp_path / "stdout").write_text("one\n")
    opened.close(ATTEMPT)
    assert not opened.is_open(ATTEMPT)
    assert opened.read(ATTEMPT, "stdout", offset=0, length=1) is None
    with opened.followed(ATTEMPT, "stdout") as following:
        assert following is None


def given_up() -> records.Attempt:
    attempt_id = ids.AttemptId(ids.new_id(ids.IdPrefix.ATTEMPT))
    return cast(records.Attempt, SimpleNamespace(attempt_id=attempt_id, state=states.AttemptState.ABANDONED))


@pytest.fixture
def left(opened: outputs.Outputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> live_logs.LiveLogs:
    """Logs of attempts that are at work no more, each in a folder of its name."""
    monkeypatch.setattr(workshop, "log_known", lambda _shop, _lease: known())
    shop = SimpleNamespace(
        outputs=opened,
        database=SimpleNamespace(read=lambda _asked: None),
        scratch_path=lambda attempt_id: tmp_path / attempt_id,
    )
    return live_logs.LiveLogs(cast(workshop.Workshop, shop))


async def test_what_an_attempt_left_that_was_given_up_is_clean_too(left: live_logs.LiveLogs, tmp_path: Path) -> None:
    attempt = given_up()
    (tmp_path / attempt.attempt_id).mkdir()
    (tmp_path / attempt.attempt_id / "stdout").write_text(f"one /w/tree/a {SECRET}\n")
    for offset, content in ((0, b"one ./a [redacted:KEY]\n"), (4, b"./a [redacted:KEY]\n")):
        piece = await left.read(attempt, "stdout", offset=offset, length=100)
        assert piece is not None
        assert piece.content == content
    assert await left.read(attempt, "stderr", offset=0, length=1) is None
    shutil.rmtree(tmp_path / attempt.attempt_id)
    assert await left.read(attempt, "stdout", offset=0, length=1) is None


@pytest.mark.parametrize("put_there", [os.mkfifo, os.mkdir, lambda path: path.write_text("raw"), None])
async def test_nothing_that_an_attempt_put_beside_what_it_left_is_believed(
    left: live_logs.LiveLogs, tmp_path: Path, put_there: Callable[[Path], object] | None
) -> None:
    attempt = given_up()
    scratch = tmp_path / attempt.attempt_id
    scratch.mkdir()
    (tmp_path / "elsewhere").write_text("raw")
    (scratch / "stdout").write_text("one\n")
    for name in ("stdout.left", "stdout.clean"):
        if put_there:
            put_there(scratch / name)
        else:
            (scratch / name).symlink_to(tmp_path / "elsewhere")
    piece = await left.read(attempt, "stdout", offset=0, length=100)
    assert piece == capture.Piece(content=b"one\n", next_offset=4, size_bytes=4)


async def test_what_was_left_is_cleaned_once_for_who_reads_on(
    left: live_logs.LiveLogs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_logs, "_LEFT_MAX", 2)
    attempts = [given_up() for _ in range(3)]
    for attempt in attempts:
        (tmp_path / attempt.attempt_id).mkdir()
        (tmp_path / attempt.attempt_id / "stdout").write_text("once")
    said = []
    for attempt in (attempts[0], attempts[1], attempts[0], attempts[2], attempts[0]):
        piece = await left.read(attempt, "stdout", offset=0, length=100)
        assert piece is not None
        said.append(piece.content.decode())
        (tmp_path / attempt.attempt_id / "stdout").write_text("late")
    assert said == ["once", "once", "once", "once", "late"]
