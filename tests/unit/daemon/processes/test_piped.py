"""A child spoken with over its pipes, and gone with all it started when the talk is over."""

from pathlib import Path

import pytest

from local_daemon.processes import children, piped, process_table

ENV = {"PATH": "/usr/bin:/bin"}


async def test_it_hears_and_answers(tmp_path: Path) -> None:
    async with piped.child_piped(("cat",), cwd=tmp_path, env=ENV) as child:
        child.stdin.write(b"hello\n")
        assert await child.stdout.readline() == b"hello\n"


async def test_nothing_of_it_is_left_afterwards(tmp_path: Path) -> None:
    script = "sleep 1000 & echo $! $$; cat"
    async with piped.child_piped(("sh", "-c", script), cwd=tmp_path, env=ENV) as child:
        pids = [int(word) for word in (await child.stdout.readline()).split()]
    assert [entry for pid in pids if (entry := process_table.entry_read(pid)) and not entry.has_ended] == []


async def test_its_end_is_told(tmp_path: Path) -> None:
    async with piped.child_piped(("sh", "-c", "exit 7"), cwd=tmp_path, env=ENV) as child:
        assert await child.ended() == children.ExitStatus(exit_code=7)


async def test_a_program_that_is_not_there_is_a_failed_launch(tmp_path: Path) -> None:
    with pytest.raises(children.LaunchFailed):
        async with piped.child_piped(("no-such-program",), cwd=tmp_path, env=ENV):
            pass


async def test_a_line_that_is_too_long_ends_the_talk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piped, "LINE_BYTES", 1024)
    script = "echo hello; head -c 100000 /dev/zero | tr '\\0' x; exec sleep 1000"
    async with piped.child_piped(("sh", "-c", script), cwd=tmp_path, env=ENV) as child:
        assert await child.stdout.readline() == b"hello\n"
        assert not child.stdout.said_too_much
        assert await child.stdout.readline() == b""
        assert child.stdout.said_too_much
