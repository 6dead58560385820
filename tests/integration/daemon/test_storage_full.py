"""A disk that is full: said clearly, nothing lost, and gone on from once there is room.

A small file system of its own where this user may mount one; skipped elsewhere.
"""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_daemon.protocol import errors, states
from local_daemon.scheduler import loop
from tests.integration.daemon.machine import git, machine_start, repository_make


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of eight megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a file system")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room there is."""
    ballast = disk / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                return ballast


async def test_a_step_that_ends_on_a_full_disk_goes_on_when_there_is_room_and_loses_nothing(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "_ROOM_S", 0.05)
    repository = repository_make(tmp_path / "repository")
    async with machine_start(small_disk / "home", repository) as machine:
        go_on = tmp_path / "go-on"
        step_id = await machine.submit(
            executor="fake-success", validations=[{"name": "wait", "command": f"until [ -e {go_on} ]; do :; done"}]
        )
        await machine.until(step_id, states.StepState.VALIDATING)
        ballast = fill(small_disk)
        go_on.touch()
        with pytest.raises(errors.StorageFull):
            for _ in range(200):  # The last page of the log may still have room for some.
                await machine.submit(executor="fake-success", base="nowhere")
        async with asyncio.timeout(20):
            while "no room on the disk" not in caplog.text:
                await asyncio.to_thread(ballast.exists)
        assert machine.step(step_id).state is states.StepState.VALIDATING
        ballast.unlink()
        step = await machine.until(step_id)
        assert (step.state, step.failure) == (states.StepState.COMPLETED, None)
        assert git(repository, "show", f"{machine.result(step_id).ref}:fake-success.txt") == "g\n"
        await machine.worktrees_gone()
