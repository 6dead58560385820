"""Files that are waited for: whoever writes, every waiter is told, and nothing is kept when nobody waits."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local_daemon.processes.growth import Growth

TELLS_WITHIN_S = 20


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.touch()
    return path


def append(path: Path, text: str) -> None:
    with open(path, "a") as file:
        file.write(text)


async def test_another_process_that_writes_wakes_everybody_who_waits(log: Path) -> None:
    growth = Growth()
    with growth.watched(log) as one, growth.watched(log) as other:
        assert one is not None and one is other
        waiting = [one.grown(after=one.mark) for _ in range(3)]
        writer = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", f"open({str(log)!r}, 'a').write('x')"], check=True
        )
        assert writer.returncode == 0
        await asyncio.wait_for(asyncio.gather(*waiting), TELLS_WITHIN_S)


async def test_what_was_written_between_looking_and_waiting_is_not_missed(log: Path) -> None:
    with Growth().watched(log) as growing:
        assert growing is not None
        mark = growing.mark
        append(log, "x")
        await asyncio.wait_for(growing.grown(after=mark), TELLS_WITHIN_S)
        assert growing.mark > mark


async def test_only_the_file_that_grew_is_announced(log: Path, tmp_path: Path) -> None:
    silent = tmp_path / "silent"
    silent.touch()
    growth = Growth()
    with growth.watched(log) as growing, growth.watched(silent) as other:
        assert growing is not None and other is not None
        append(log, "x")
        await asyncio.wait_for(growing.grown(after=0), TELLS_WITHIN_S)
        assert other.mark == 0


async def test_a_file_is_watched_until_the_last_has_left(log: Path) -> None:
    growth = Growth()
    with growth.watched(log) as outer:
        with growth.watched(log):
            pass
        assert outer is not None
        append(log, "x")
        await asyncio.wait_for(outer.grown(after=0), TELLS_WITHIN_S)
    with growth.watched(log) as again:
        assert again is not None
        append(log, "y")
        await asyncio.wait_for(again.grown(after=0), TELLS_WITHIN_S)


async def test_a_file_that_is_taken_away_wakes_nobody_for_good(log: Path) -> None:
    growth = Growth()
    with growth.watched(log):
        log.unlink()
        log.touch()
        with growth.watched(log) as anew:
            assert anew is not None
            append(log, "x")
            await asyncio.wait_for(anew.grown(after=0), TELLS_WITHIN_S)


async def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), Growth().watched(tmp_path / "nothing"):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="a kqueue tells no names")
async def test_of_a_directory_only_the_names_that_count_are_told(tmp_path: Path) -> None:
    with Growth().watched(tmp_path, names=frozenset({"wanted", "also"})) as growing:
        assert growing is not None
        for number in range(50):
            (tmp_path / f"other-{number}").write_text("x")
        (tmp_path / "wanted").mkdir()
        await asyncio.wait_for(growing.grown(after=0), TELLS_WITHIN_S)
        assert growing.mark == 1


@pytest.mark.skipif(sys.platform != "linux", reason="a kqueue tells no names")
async def test_whoever_asks_for_a_directory_adds_names_to_those_that_count(tmp_path: Path) -> None:
    growth = Growth()
    with growth.watched(tmp_path, names=frozenset({"one"})) as growing, growth.watched(tmp_path) as same:
        assert growing is same and growing is not None
        (tmp_path / "another").mkdir()
        await asyncio.wait_for(growing.grown(after=0), TELLS_WITHIN_S)


@pytest.mark.skipif(sys.platform != "linux", reason="a kqueue tells no names")
async def test_a_name_that_counts_is_told_after_a_flood_of_others(tmp_path: Path) -> None:
    with Growth().watched(tmp_path, names=frozenset({"wanted"})) as growing:
        assert growing is not None
        each = "open(path, 'w').close(); os.unlink(path)"
        flood = f"import os\nfor n in range(3000): path = {str(tmp_path)!r} + f'/{{n:0200}}'; {each}"
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", flood], check=True)
        mark = growing.mark
        (tmp_path / "wanted").mkdir()
        await asyncio.wait_for(growing.grown(after=mark), TELLS_WITHIN_S)


async def test_a_pipe_that_nobody_writes_into_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with Growth().watched(tmp_path / "pipe"):
        pass
