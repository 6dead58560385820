"""What a process has printed is read at once, whatever it has put in its place."""

import os
import socket
from pathlib import Path

import pytest

from local_daemon.executors import fake, port
from local_daemon.processes import capture, children, printed


def socket_make(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


PUT_THERE = {
    "a pipe": os.mkfifo,
    "a folder": os.mkdir,
    "a socket": socket_make,
    "a circle": lambda path: path.symlink_to(path),
    "no end": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.fixture(params=PUT_THERE)
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # The address of a socket may not be long.
    PUT_THERE[request.param](Path("stdout"))
    return Path("stdout")


def test_what_is_no_file_has_said_nothing(place: Path) -> None:
    with printed.printed_open(place) as file:
        assert file.read() == b""


def test_it_is_cleaned_as_nothing(place: Path, tmp_path: Path) -> None:
    known = capture.Known(worktree_root=tmp_path, home=None, secrets={}, directories={})
    assert capture.Capture(place, tmp_path / "clean", known=lambda: known).finish() == 0


@pytest.mark.parametrize("is_begun", [False, True])
def test_what_stands_where_it_is_cleaned_to_is_taken_away(place: Path, tmp_path: Path, is_begun: bool) -> None:
    known = capture.Known(worktree_root=tmp_path, home=None, secrets={"KEY": "sk-live-0123456789"}, directories={})
    output, cleaned = tmp_path / "output", tmp_path / "cleaned"
    output.write_text("the key is sk-live-0123456789\n")
    taken = capture.Capture(output, cleaned, known=lambda: known)
    if is_begun:
        taken.take()
    place.rename(cleaned)
    with output.open("a") as file:
        file.write("and so on\n")
    told = b"the key is [redacted:KEY]\nand so on\n"
    assert taken.read(offset=0, length=100).content == told
    assert taken.finish() == len(told)
    assert cleaned.read_bytes() == told


def test_an_executor_that_put_it_there_has_failed(place: Path, tmp_path: Path) -> None:
    (executor,) = [each for each in fake.fakes_build(starts_file=None) if each.name == fake.Behaviour.SUCCESS]
    task = port.ExecutorTask(attempt_id="att_1", goal="any", worktree=tmp_path, scratch=tmp_path, timeout_s=30)
    report = executor.interpret(children.ExitStatus(exit_code=0), stdout=place, stderr=place, task=task)
    assert report.outcome is port.Outcome.FAILED


def test_a_file_is_read_also_by_way_of_a_link_and_what_is_gone_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("said")
    (tmp_path / "link").symlink_to("file")
    with printed.printed_open(tmp_path / "link") as file:
        assert file.read() == b"said"
    with pytest.raises(FileNotFoundError):
        printed.printed_open(tmp_path / "gone")
