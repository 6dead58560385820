"""How much worktrees take, and whether there is room for another."""

import pytest

from local_daemon.worktrees import room

MIB = 1024 * 1024


def fill(path, size_bytes=MIB):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size_bytes)


@pytest.fixture
def roots(tmp_path):
    return tmp_path / "worktrees", tmp_path / "spares"


async def test_worktrees_what_lies_beside_them_and_spares_are_counted(roots):
    fill(roots[0] / "att_1/deep/er/file")
    fill(roots[0] / "att_1.git/index")
    fill(roots[0] / "att_2/file")
    (roots[0] / "att_2/link").symlink_to("/")
    fill(roots[1] / "life/1/tree/file")
    sizes = room.sizes_bytes(roots)
    assert {path.name: round(size / MIB) for path, size in sizes.items()} == {"att_1": 2, "att_2": 1, "1": 1}
    assert room.tree_bytes(roots[0] / "att_1") == sizes[roots[0] / "att_1"]


async def test_without_a_limit_nothing_is_measured_and_there_is_always_room(roots):
    fill(roots[0] / "att_1/file")
    free = room.Room(roots)
    free.begin(told=lambda: None)
    await free.close()
    await free.require()
    assert (free.used_bytes, free.is_full) == (0, False)


async def test_where_the_limit_is_reached_it_is_said_with_the_setting_and_what_to_do(roots):
    fill(roots[0] / "att_1/file")
    small = room.Room(roots, bytes_max=MIB)
    small.begin(told=lambda: None)
    await small.close()
    assert small.is_full
    with pytest.raises(room.RoomUsedUp, match=r"\[worktrees\] bytes_max = 1048576 in daemon.toml; `ropeway gc"):
        await small.require()


async def test_before_it_is_said_everything_is_measured_again(roots):
    fill(roots[0] / "att_1/file")
    small = room.Room(roots, bytes_max=MIB)
    small.begin(told=lambda: None)
    await small.close()
    (roots[0] / "att_1/file").unlink()
    await small.require()
    assert not small.is_full


async def test_who_waits_is_told_when_there_is_room_again(roots):
    told = []
    fill(roots[0] / "att_1/file")
    small = room.Room(roots, bytes_max=MIB)
    small.begin(told=lambda: told.append("room"))
    await small.close()
    (roots[0] / "att_1/file").unlink()
    small.look(roots[0] / "att_1")
    await small.close()
    assert told == ["room"]
    assert not small.is_full


async def test_a_worktree_that_is_gone_counts_no_more_at_once(roots):
    fill(roots[0] / "att_1/file")
    small = room.Room(roots, bytes_max=MIB)
    small.look(roots[0] / "att_1")
    await small.close()
    assert small.is_full
    (roots[0] / "att_1/file").unlink()
    (roots[0] / "att_1").rmdir()
    small.look(roots[0] / "att_1")
    assert not small.is_full


async def test_a_spare_that_became_a_worktree_counts_once(roots):
    fill(roots[1] / "life/1/tree/file")
    free = room.Room(roots, bytes_max=10 * MIB)
    free.begin(told=lambda: None)
    await free.close()
    roots[0].mkdir()
    (roots[1] / "life/1/tree").rename(roots[0] / "att_1")
    (roots[1] / "life/1").rmdir()
    free.look(roots[0] / "att_1")
    await free.close()
    assert free.used_bytes == room.tree_bytes(roots[0] / "att_1")


async def test_room_is_sought_for_who_waits_but_not_again_at_once(roots):
    sought = []

    async def make():
        sought.append("once")
        raise room.RoomUsedUp(used_bytes=1, bytes_max=1)

    small = room.Room(roots, bytes_max=1)
    for _ in range(3):
        small.seek(make)
        await small.close()
    assert sought == ["once"]
