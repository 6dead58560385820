"""Whatever stands there goes, and nothing else does."""

import os

import pytest

from local_daemon.worktrees import deletion


def test_a_folder_goes_with_everything_in_it_and_nothing_behind_its_links(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "it/deep").mkdir(parents=True)
    (tmp_path / "it/deep/link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "it/deep/pipe")
    (tmp_path / "it/deep").chmod(0)
    deletion.tree_delete(tmp_path / "it")
    assert os.listdir(tmp_path) == ["elsewhere"]


@pytest.mark.parametrize("put", [os.mkfifo, os.mknod, lambda place: place.symlink_to("elsewhere")])
def test_what_stands_in_a_folders_place_goes_without_being_opened_or_followed(tmp_path, put):
    (tmp_path / "elsewhere").mkdir(mode=0o750)
    (tmp_path / "elsewhere/kept").touch()
    put(tmp_path / "it")
    deletion.tree_delete(tmp_path / "it")
    assert os.listdir(tmp_path) == ["elsewhere"]
    assert os.listdir(tmp_path / "elsewhere") == ["kept"]
    assert (tmp_path / "elsewhere").stat().st_mode & 0o777 == 0o750


def test_where_nothing_stands_nothing_happens(tmp_path):
    (tmp_path / "file").touch()
    deletion.tree_delete(tmp_path / "gone")
    deletion.tree_delete(tmp_path / "file/below")
    assert os.listdir(tmp_path) == ["file"]
