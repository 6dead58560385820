"""What can't be read at once is never waited for, and what has no end is read so far."""

import os
import socket

import pytest

from local_daemon.config import plain_files


def test_a_file_is_read_also_through_a_link_and_no_further_than_asked(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert plain_files.plain_read(tmp_path / "link", bytes_max=100) == b"content"
    assert plain_files.plain_read(tmp_path / "file", bytes_max=4) == b"cont"


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "endless").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for name in ("pipe", "folder", "endless", "loop", "socket"):
            with pytest.raises(plain_files.NotPlain, match=r"not a file|No such device|symbolic links"):
                plain_files.plain_read(tmp_path / name, bytes_max=100)


def test_where_nothing_is_that_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError):
        plain_files.plain_read(tmp_path / "gone", bytes_max=100)
    with pytest.raises(NotADirectoryError):
        plain_files.plain_read(tmp_path / "file" / "below", bytes_max=100)


@pytest.mark.parametrize("kind", ["pipe", "endless"])
def test_git_is_not_sent_where_it_would_wait(tmp_path, kind):
    if kind == "pipe":
        os.mkfifo(tmp_path / "it")
    else:
        (tmp_path / "it").symlink_to("/dev/zero")
    with pytest.raises(OSError, match="not a file"):
        plain_files.pipe_refuse(tmp_path / "it")


def test_git_is_not_sent_to_a_name_of_which_it_would_read_a_part(tmp_path):
    with pytest.raises(OSError, match="not a name"):
        plain_files.pipe_refuse(tmp_path / "it\0more")


def test_git_may_look_at_files_and_folders_and_where_nothing_is(tmp_path):
    (tmp_path / "file").touch()
    for place in ("file", ".", "gone", "file/below"):
        plain_files.pipe_refuse(tmp_path / place)
