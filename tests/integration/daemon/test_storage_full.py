"""A disk that is full or read-only: said clearly, nothing lost, and gone on from once it takes something again.

On file systems of its own where this user may mount one; skipped elsewhere.
"""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local_daemon.protocol import errors, states
from local_daemon.scheduler import execution, recovery, workshop
from local_daemon.worktrees import changes as worktree_changes
from tests import pipes
from tests.integration.daemon.door import daemon_spawn, door_open
from tests.integration.daemon.machine import SETTLES_WITHIN_S, git, machine_start, repository_make


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


@pytest.mark.parametrize("said", ["", "echo said;"])
async def test_a_step_that_ends_on_a_full_disk_goes_on_when_there_is_room_and_loses_nothing(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, said: str
) -> None:
    monkeypatch.setattr(workshop, "ROOM_S", 0.05)
    repository = repository_make(tmp_path / "repository")
    async with machine_start(small_disk / "home", repository) as machine:
        begun, go_on = tmp_path / "begun", tmp_path / "go-on"
        os.mkfifo(begun)
        step_id = await machine.submit(
            executor="fake-success",
            validations=[
                {"name": "wait", "command": f"{said} [ -e {go_on} ] || echo >{begun}; until [ -e {go_on} ]; do :; done"}
            ],
        )
        assert await pipes.pipe_read(begun) == "\n"
        ballast = fill(small_disk)
        go_on.touch()
        with pytest.raises(errors.StorageFull):
            for _ in range(200):  # The last page of the log may still have room for some.
                await machine.submit(executor="fake-success", base="nowhere")
        async with asyncio.timeout(SETTLES_WITHIN_S):
            while "nothing can be put on record" not in caplog.text:
                await asyncio.to_thread(ballast.exists)
        assert machine.step(step_id).state is states.StepState.VALIDATING
        ballast.unlink()
        step = await machine.until(step_id)
        assert (step.state, step.failure) == (states.StepState.COMPLETED, None)
        assert git(repository, "show", f"{machine.result(step_id).ref}:fake-success.txt") == "g\n"
        await machine.worktrees_gone()


async def test_changes_that_the_repositorys_full_disk_does_not_take_are_recorded_when_there_is_room(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workshop, "ROOM_S", 0.05)
    repository = repository_make(small_disk / "repository")
    changes_capture, ballast = worktree_changes.changes_capture, list[Path]()

    async def capture_without_room(*arguments: Any, **named: Any) -> worktree_changes.Changes:
        if not ballast:
            ballast.append(fill(small_disk))
        return await changes_capture(*arguments, **named)

    monkeypatch.setattr(worktree_changes, "changes_capture", capture_without_room)
    async with machine_start(tmp_path / "home", repository) as machine:
        step_id = await machine.submit(executor="fake-success")
        async with asyncio.timeout(SETTLES_WITHIN_S):
            while "nothing can be put on record" not in caplog.text:
                await asyncio.to_thread(small_disk.exists)
        assert machine.step(step_id).state is states.StepState.COLLECTING
        ballast[0].unlink()
        step = await machine.until(step_id)
        assert (step.state, step.failure) == (states.StepState.COMPLETED, None)
        assert git(repository, "show", f"{machine.result(step_id).ref}:fake-success.txt") == "g\n"
        await machine.worktrees_gone()


async def test_a_step_that_ends_while_the_record_is_read_only_goes_on_when_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workshop, "ROOM_S", 0.05)
    repository = repository_make(tmp_path / "repository")
    async with machine_start(tmp_path / "home", repository) as machine:
        go_on = tmp_path / "go-on"
        step_id = await machine.submit(
            executor="fake-success", validations=[{"name": "wait", "command": f"until [ -e {go_on} ]; do :; done"}]
        )
        await machine.until(step_id, states.StepState.VALIDATING)
        await machine.shop.database.write("refuse", lambda tx: tx.execute("PRAGMA query_only = ON"))
        with pytest.raises(errors.StorageFull, match="read-only"):
            await machine.submit(executor="fake-success")
        go_on.touch()
        async with asyncio.timeout(SETTLES_WITHIN_S):
            while "nothing can be put on record" not in caplog.text:
                await asyncio.to_thread(go_on.exists)
        assert machine.step(step_id).state is states.StepState.VALIDATING
        machine.shop.database._writer.execute("PRAGMA query_only = OFF")
        assert (await machine.until(step_id)).state is states.StepState.COMPLETED
        assert git(repository, "show", f"{machine.result(step_id).ref}:fake-success.txt") == "g\n"
        await machine.worktrees_gone()


async def test_a_disk_without_room_for_a_lease_ends_nothing_that_is_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workshop, "ROOM_S", 0.05)
    async with machine_start(tmp_path / "home", repository_make(tmp_path / "repository")) as machine:
        go_on = tmp_path / "go-on"
        first = await machine.submit(
            executor="fake-success", validations=[{"name": "wait", "command": f"until [ -e {go_on} ]; do :; done"}]
        )
        await machine.until(first, states.StepState.VALIDATING)
        writes, is_full = machine.shop.database.write, True

        async def write(label: str, *arguments: Any, **named: Any) -> Any:
            if label == "attempt_lease" and is_full:
                raise errors.StorageFull
            return await writes(label, *arguments, **named)

        monkeypatch.setattr(machine.shop.database, "write", write)
        second = await machine.submit(executor="fake-success")
        async with asyncio.timeout(SETTLES_WITHIN_S):
            while "nothing can be leased" not in caplog.text:
                await asyncio.to_thread(go_on.exists)
        go_on.touch()
        assert (await machine.until(first)).state is states.StepState.COMPLETED
        assert machine.step(second).state is states.StepState.QUEUED
        is_full = False
        assert (await machine.until(second)).state is states.StepState.COMPLETED


async def test_why_an_executor_was_ended_is_known_even_where_the_disk_was_full_just_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workshop, "ROOM_S", 0.05)
    async with machine_start(tmp_path / "home", repository_make(tmp_path / "repository")) as machine:
        writes, refusals = machine.shop.database.write, [errors.StorageFull(), errors.StorageFull()]

        async def write(label: str, *arguments: Any, **named: Any) -> Any:
            if label == "attempt_exit" and refusals:
                raise refusals.pop()
            return await writes(label, *arguments, **named)

        monkeypatch.setattr(machine.shop.database, "write", write)
        step = await machine.until(await machine.submit(executor="fake-timeout", timeout_s=1))
        assert refusals == []
        assert step.state is states.StepState.FAILED
        assert step.failure is not None
        assert step.failure.kind is states.FailureKind.TIMEOUT


async def test_a_lost_attempt_that_can_not_be_put_on_record_at_once_is_put_there_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workshop, "ROOM_S", 0.05)
    loses, refusals = recovery.step_lost, ["git could not be started", "nor now"]

    async def crash(*_: Any) -> None:
        raise RuntimeError("a defect")

    async def lose(*arguments: Any, **named: Any) -> None:
        if refusals:
            raise OSError(refusals.pop())
        await loses(*arguments, **named)

    monkeypatch.setattr(execution, "attempt_execute", crash)
    monkeypatch.setattr(recovery, "step_lost", lose)
    async with machine_start(tmp_path / "home", repository_make(tmp_path / "repository")) as machine:
        step = await machine.until(await machine.submit(executor="fake-success"))
        assert step.state is states.StepState.NEEDS_ATTENTION
        assert refusals == []


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """A file or folder that nobody can write, not even root."""
    for options in (["--bind", str(path), str(path)], ["-o", "remount,bind,ro", str(path)]):
        if subprocess.run(["mount", *options], capture_output=True, check=False).returncode != 0:
            pytest.skip("this user may not mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.mark.parametrize("what", ["record.sqlite3", "."])
def test_a_daemon_that_can_not_write_its_record_says_so_and_the_next_one_knows_everything(
    tmp_path: Path, what: str
) -> None:
    home = tmp_path / "home"
    with door_open(home) as door:
        repository_id = door.repository_add(repository_make(tmp_path / "repository"))
        run_id = door.run_create(repository_id)
    with read_only(home / what):
        process = daemon_spawn(home)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 30
    assert "ead-only" in said
    assert "Traceback" not in said
    with door_open(home) as door:
        assert door.get(f"/repositories/{repository_id}/runs/{run_id}")["state"] == "open"
        assert door.wait(repository_id, door.submit(repository_id, run_id))["state"] == "completed"


def test_a_daemon_that_starts_on_a_full_disk_says_so_and_the_next_one_knows_everything(
    small_disk: Path, tmp_path: Path
) -> None:
    home = small_disk / "home"
    with door_open(home) as door:
        repository_id = door.repository_add(repository_make(tmp_path / "repository"))
        run_id = door.run_create(repository_id)
    ballast = fill(small_disk)
    process = daemon_spawn(home)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 40
    assert "disk is full" in said
    assert "Traceback" not in said
    ballast.unlink()
    with door_open(home) as door:
        assert door.wait(repository_id, door.submit(repository_id, run_id))["state"] == "completed"
