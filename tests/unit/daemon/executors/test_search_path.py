"""The kernel tells when a program may have come to a PATH or gone from it: real files, no waiting for a clock."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from local_daemon.executors import search_path

WITHIN_S = 60


@asynccontextmanager
async def told_of(*folders: Path, programs: tuple[str, ...] = ()) -> AsyncIterator[asyncio.Event]:
    told, watching = asyncio.Event(), asyncio.Event()

    async def listen() -> None:
        async with aclosing(search_path.changes(":".join(map(str, folders)), ["codex", *programs])) as changes:
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


@pytest.mark.parametrize("target", ["../lib/codex/cli.js", "{}/lib/codex/cli.js"])
async def test_what_a_link_on_the_path_leads_to_is_watched_too(tmp_path: Path, target: str) -> None:
    """As a package manager installs a CLI: a link on the PATH, and a package elsewhere that is replaced."""
    package = tmp_path / "lib" / "codex"
    package.mkdir(parents=True)
    (package / "cli.js").write_text("one")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "codex").symlink_to(target.format(tmp_path))
    async with told_of(tmp_path / "bin") as told:
        (package / "new").write_text("two")
        (package / "new").rename(package / "cli.js")
        await until(told)
        package.rename(tmp_path / "lib" / "old")
        await until(told)
        package.mkdir()
        (package / "cli.js").write_text("three")
        await until(told)


async def test_a_link_between_that_leads_elsewhere_is_told(tmp_path: Path) -> None:
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "codex").write_text(version)
    (tmp_path / "current").symlink_to("one")
    async with told_of(tmp_path / "current") as told:
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").rename(tmp_path / "current")
        await until(told)
        (tmp_path / "two" / "codex").unlink()
        await until(told)


async def test_links_that_lead_in_a_circle_end_somewhere(tmp_path: Path) -> None:
    (tmp_path / "codex").symlink_to("other")
    (tmp_path / "other").symlink_to("codex")
    async with told_of(tmp_path) as told:
        (tmp_path / "other").unlink()
        await until(told)


async def test_a_program_that_is_named_by_its_path_is_watched_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    async with told_of(tmp_path / "bin", programs=(str(tmp_path / "opt" / "tool"),)) as told:
        (tmp_path / "opt").mkdir()
        await until(told)
        (tmp_path / "opt" / "tool").write_text("")
        await until(told)


async def test_amid_what_others_write_the_program_is_told(tmp_path: Path) -> None:
    """A folder that is not there yet may be waited for where everybody writes."""
    async with told_of(tmp_path / "bin") as told:
        for number in range(100):
            (tmp_path / f"other-{number}").write_text("")
        (tmp_path / "bin").mkdir()
        await until(told)
        (tmp_path / "bin" / "other").write_text("")
        (tmp_path / "bin" / "codex").write_text("")
        await until(told)


async def test_a_program_that_is_written_over_in_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "codex").write_text("one")
    async with told_of(tmp_path) as told:
        (tmp_path / "codex").write_text("another")
        await until(told)


async def test_what_happens_to_no_program_that_is_looked_for_is_no_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: asyncio.Queue[None] = asyncio.Queue()
    loop, real = asyncio.get_running_loop(), search_path._places

    def places(*arguments: Any) -> search_path.Places:
        found = real(*arguments)
        loop.call_soon_threadsafe(looks.put_nowait, None)
        return found

    monkeypatch.setattr(search_path, "_places", places)
    async with asyncio.timeout(WITHIN_S), aclosing(search_path.changes(str(tmp_path), ["codex"])) as changes:
        await anext(changes)
        told = asyncio.ensure_future(anext(changes))
        for _ in range(2):
            await looks.get()
        (tmp_path / "codex").write_text("")
        (tmp_path / "codex").unlink()
        for _ in range(2):
            await looks.get()
        assert not told.done()  # Looked at again, and all is as it was.
        (tmp_path / "codex").write_text("")
        await told
        assert looks.qsize() >= 2


async def test_along_a_path_that_is_slow_to_answer_is_looked_while_everything_else_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one on another machine's disk; a watch is set only where that has answered just now."""
    looked_from, real = set(), os.lstat

    def lstat(place: str, **options: int) -> os.stat_result:
        if str(place).startswith(str(tmp_path)):
            looked_from.add(threading.current_thread())
        return real(place, **options)

    monkeypatch.setattr(os, "lstat", lstat)
    async with told_of(tmp_path) as told:
        (tmp_path / "codex").write_text("")
        await until(told)
    assert looked_from and threading.current_thread() not in looked_from
