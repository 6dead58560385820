"""The kernel tells when a program may have come to a PATH or gone from it: real files, no waiting for a clock."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from local_daemon.executors import search_path

WITHIN_S = 60


@asynccontextmanager
async def told_of(*folders: Path) -> AsyncIterator[asyncio.Event]:
    told, watching = asyncio.Event(), asyncio.Event()

    async def listen() -> None:
        async with aclosing(search_path.changes(":".join(map(str, folders)))) as changes:
            async for _ in changes:
                told.set() if watching.is_set() else watching.set()

    listening = asyncio.create_task(listen())
    try:
        await watching.wait()
        yield told
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def until(told: asyncio.Event) -> None:
    async with asyncio.timeout(WITHIN_S):
        await told.wait()
    told.clear()


async def test_a_program_that_comes_or_goes_is_told(tmp_path: Path) -> None:
    program = tmp_path / "codex"
    async with told_of(tmp_path) as told:
        program.write_text("#!/bin/sh\n")
        await until(told)
        program.unlink()
        await until(told)


@pytest.mark.skipif(sys.platform != "linux", reason="macOS tells of names only")
async def test_a_directory_that_can_not_be_looked_at_hides_none_of_the_others(tmp_path: Path) -> None:
    """As those of another user, or of another system's disk: a PATH is full of them."""
    async with asyncio.timeout(WITHIN_S), told_of(tmp_path / ("a" * 5000), tmp_path) as told:
        (tmp_path / "codex").write_text("")
        await until(told)


async def test_a_program_that_becomes_runnable_is_told(tmp_path: Path) -> None:
    program = tmp_path / "codex"
    program.write_text("#!/bin/sh\n")
    async with told_of(tmp_path) as told:
        program.chmod(0o755)
        await until(told)


async def test_a_link_that_takes_a_programs_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    async with told_of(tmp_path / "bin") as told:
        (tmp_path / "new").symlink_to("/bin/true")
        (tmp_path / "new").rename(tmp_path / "bin" / "codex")
        await until(told)


async def test_a_directory_that_is_not_there_yet_is_waited_for_and_then_watched(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "bin"
    async with told_of(folder) as told:
        (tmp_path / "a").mkdir()
        await until(told)
        folder.mkdir()
        await until(told)
        (folder / "codex").write_text("")
        await until(told)


async def test_a_directory_that_is_replaced_is_watched_again(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    async with told_of(folder) as told:
        folder.rmdir()
        await until(told)
        folder.mkdir()
        await until(told)
        (folder / "codex").write_text("")
        await until(told)
