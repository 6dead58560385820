"""Short tools: run to the end, read whole, and ended when they take or say too much."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from local_daemon.processes import children, command, exits, process_table
from tests import pipes


async def _run(*argv: str, **options: Any) -> command.CompletedCommand:
    settings: dict[str, Any] = {"cwd": Path("/"), "env": {"PATH": os.environ["PATH"]}, "timeout_s": 30.0}
    return await command.run_command(argv, **{**settings, "max_output_bytes": 10_000_000, **options})


async def test_output_error_and_exit_code_are_answered():
    completed = await _run("/bin/sh", "-c", "echo out; echo err >&2; exit 3")
    assert (completed.exit_code, completed.stdout, completed.stderr) == (3, b"out\n", b"err\n")
    assert not completed.timed_out
    assert not completed.truncated


async def test_a_large_input_comes_back_whole():
    content = os.urandom(3_000_000)
    assert (await _run("/bin/cat", stdin_bytes=content)).stdout == content


async def test_without_input_a_tool_reads_end_of_file():
    assert (await _run("/bin/cat")).exit_code == 0


async def test_a_tool_that_says_too_much_is_ended_at_the_limit():
    completed = await _run("/bin/sh", "-c", "while :; do echo y; done", max_output_bytes=1000)
    assert completed.truncated
    assert len(completed.stdout) == 1000


async def test_a_tool_that_takes_too_long_is_ended_with_its_children(tmp_path):
    completed = await _run("/bin/sh", "-c", "echo $$; sleep 600", timeout_s=0.2)
    assert completed.timed_out
    assert completed.exit_code < 0
    assert await _group_is_gone(int(completed.stdout))


async def test_a_background_child_that_holds_the_output_open_does_not_delay_the_answer():
    completed = await _run("/bin/sh", "-c", "sleep 600 & echo $$")
    assert completed.exit_code == 0
    assert not completed.timed_out
    assert await _group_is_gone(int(completed.stdout))


async def test_cancelling_the_caller_ends_the_tool(tmp_path):
    os.mkfifo(tmp_path / "ready")
    running = asyncio.ensure_future(_run("/bin/sh", "-c", 'echo $$ >"$0"; sleep 600', str(tmp_path / "ready")))
    pid = int(await pipes.pipe_read(tmp_path / "ready"))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert process_table.started_at(pid) is None
    assert await _group_is_gone(pid)


async def test_a_missing_program_is_a_typed_error_that_names_no_directory():
    with pytest.raises(children.LaunchFailed, match=r"^no-such-tool could not be started: No such file or directory$"):
        await _run("/opt/tools/no-such-tool")


async def test_many_tools_at_once():
    completed = await asyncio.gather(*(_run("/bin/sh", "-c", f"echo {number}") for number in range(50)))
    assert [int(each.stdout) for each in completed] == list(range(50))


async def _group_is_gone(group: int) -> bool:
    members = {entry.pid for entry in process_table.all_entries() if entry.group == group and not entry.has_ended}
    return not await exits.until_ended(members, timeout_s=10)
