import os
import stat
from pathlib import Path

import pytest

from local_daemon.config import home as homes


def test_the_home_given_counts_before_the_environment_and_that_before_the_users_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ROPEWAY_HOME", str(tmp_path / "environment"))
    assert homes.home_find(str(tmp_path / "given")).root == tmp_path / "given"
    assert homes.home_find().root == tmp_path / "environment"
    monkeypatch.delenv("ROPEWAY_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert homes.home_find().root == tmp_path / "data" / "ropeway"


def test_preparing_makes_every_directory_private(tmp_path: Path) -> None:
    home = homes.Home(root=tmp_path / "deep" / "home")
    home.prepare()
    made = [home.root, home.artifacts, home.worktrees, home.scratch]
    assert {stat.S_IMODE(directory.stat().st_mode) for directory in made} == {0o700}


def test_preparing_takes_back_what_others_could_read(tmp_path: Path) -> None:
    home = homes.Home(root=tmp_path / "home")
    home.root.mkdir(mode=0o755)
    home.prepare()
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    home = homes.Home(root=tmp_path / "home")
    home.root.mkdir()
    os.chown(home.root, 12345, 12345)
    with pytest.raises(homes.HomeUnsafe):
        home.prepare()


def test_a_socket_path_always_fits_and_is_the_homes_own(tmp_path: Path) -> None:
    long = tmp_path / ("a" * 120)
    sockets = {homes.Home(root=root).socket for root in (long / "one", long / "two")}
    assert len(sockets) == 2
    assert all(len(os.fsencode(socket)) < 104 for socket in sockets)
    assert homes.Home(root=Path("/h")).socket == Path("/h/daemon.sock")


def test_a_private_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    homes.private_write(path, "first")
    homes.private_write(path, "2")
    assert path.read_text() == "2"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("left", [lambda place: place.touch(0o644), os.mkfifo], ids=["readable by all", "pipe"])
def test_what_was_left_where_a_private_file_is_begun_has_no_say(tmp_path, left):
    left(tmp_path / "it.new")
    homes.private_write(tmp_path / "it", "content")
    assert (tmp_path / "it").read_text() == "content"
    assert stat.S_IMODE((tmp_path / "it").stat().st_mode) == 0o600
