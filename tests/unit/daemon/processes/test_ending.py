"""Ending a family: whatever an executor started is gone, however it tried to get away."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local_daemon.processes import ending, exits, latch, process_table
from local_daemon.protocol import ids

ENV = {"PATH": os.environ["PATH"]}
ATTEMPT = ids.new_id(ids.IdPrefix.ATTEMPT)  # Its own: tests that run beside these must not be taken for its family.


async def _started(tmp_path: Path, script: str, *, processes: int) -> tuple[latch.RunningProcess, list[int]]:
    """Run a script whose processes each write their pid to a pipe, and wait until all have."""
    fifo = tmp_path / "pids"
    os.mkfifo(fifo)
    running = latch.launch(
        argv=["/bin/sh", "-c", script, str(fifo)],
        cwd=tmp_path,
        env=ENV,
        stdout=tmp_path / "stdout",
        stderr=tmp_path / "stderr",
        attempt_id=ATTEMPT,
    ).release()
    pids: list[int] = []
    while len(pids) < processes:
        with open(fifo) as file:
            pids += [int(line) for line in file]
    return running, pids


ESCAPES = {
    "a background child": 'sh -c "echo \\$\\$ >$0; exec sleep 600" & wait',
    "nohup": 'nohup sh -c "echo \\$\\$ >$0; exec sleep 600" & wait',
    "a session of its own": 'setsid sh -c "echo \\$\\$ >$0; exec sleep 600" & wait',
    "a double fork": '(setsid sh -c "echo \\$\\$ >$0; exec sleep 600" &); sleep 600',
    "a double fork whose parent has ended": '(setsid sh -c "echo \\$\\$ >$0; exec sleep 600" &); exit 0',
    "deafness to SIGTERM": 'setsid sh -c "trap \\"\\" TERM; echo \\$\\$ >$0; while :; do sleep 600; done" & wait',
}


@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES)
async def test_nothing_survives(tmp_path, escape):
    running, pids = await _started(tmp_path, escape, processes=1)
    ended = await running.terminate(grace_s=0.05)
    assert ended.confirmed
    assert ended.survivors == ()
    assert [pid for pid in [running.pid, *pids] if process_table.started_at(pid)] == []
    assert running.exit_status is not None


async def test_a_child_left_behind_after_a_normal_exit_is_ended_too(tmp_path):
    running, [left_behind] = await _started(tmp_path, 'sh -c "echo \\$\\$ >$0; exec sleep 600" & exit 0', processes=1)
    assert (await running.wait(10)).is_success
    assert process_table.started_at(left_behind)
    assert (await running.terminate(grace_s=5)).confirmed
    assert process_table.started_at(left_behind) is None
    assert running.exit_status is not None and running.exit_status.is_success


async def test_a_family_that_stops_when_asked_is_given_the_time(tmp_path):
    running, _ = await _started(
        tmp_path, 'trap "echo tidied; exit 3" TERM; sh -c "echo \\$\\$ >$0; exec sleep 600" & wait', processes=1
    )
    assert (await running.terminate(grace_s=30)).confirmed
    assert running.exit_status is not None and running.exit_status.exit_code == 3
    assert (tmp_path / "stdout").read_text() == "tidied\n"


async def test_a_stranger_in_the_same_directory_is_left_alone(tmp_path):
    stranger = subprocess.Popen(["/bin/sleep", "600"], cwd=tmp_path)
    running, _ = await _started(tmp_path, "echo $$ >$0; sleep 600", processes=1)
    try:
        assert (await running.terminate(grace_s=1)).confirmed
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_terminating_again_changes_nothing(tmp_path):
    running, _ = await _started(tmp_path, "echo $$ >$0; exit 7", processes=1)
    await running.wait(10)
    first = await running.terminate(grace_s=1)
    assert await running.terminate(grace_s=1) == first
    assert running.exit_status is not None and running.exit_status.exit_code == 7


async def test_a_subreaper_finds_even_what_left_the_session_cleared_its_environment_and_lost_its_parent(tmp_path):
    """Run apart, because a subreaper adopts every orphan of its process for good."""
    completed = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", _SUBREAPER, str(tmp_path), ATTEMPT],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert completed.returncode == 0, completed.stderr
    confirmed, escaped, zombies = completed.stdout.split()
    assert (confirmed, zombies) == ("True", "0")
    assert not await exits.until_ended({int(escaped)}, timeout_s=0)


_SUBREAPER = """
import asyncio, os, sys
from pathlib import Path
from local_daemon.processes import children, latch, process_table
here = Path(sys.argv[1])
script = '(env -i PATH="$PATH" setsid sh -c "echo \\\\$\\\\$ >$0; trap : TERM; while :; do sleep 600; done" &); exit 0'
async def main():
    assert children.become_subreaper() and children.is_subreaper()
    os.mkfifo(here / "pid")
    running = latch.launch(argv=["/bin/sh", "-c", script, str(here / "pid")], cwd=here,
                           env={"PATH": os.environ["PATH"]}, stdout=here / "out", stderr=here / "err",
                           attempt_id=sys.argv[2]).release()
    with open(here / "pid") as file:
        escaped = int(file.read())
    await running.wait(10)
    ended = await running.terminate(grace_s=0.05)
    left = process_table.descendants_of(os.getpid())
    print(ended.confirmed, escaped, len(left))
asyncio.run(main())
"""


async def test_a_chain_whose_members_each_start_the_next_and_end_is_ended(tmp_path):
    """None of them lives as long as it takes to be looked for. Whoever lives holds the pipe open."""
    chain = 'exec 3>"$0"; f() { [ "$1" -gt 900 ] && exit; f $(($1+1)) & }; echo $$ >&3; f 0; exec sleep 600'
    os.mkfifo(tmp_path / "alive")
    held = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    try:
        running = latch.launch(
            argv=["/bin/sh", "-c", chain, str(tmp_path / "alive")],
            cwd=tmp_path,
            env=ENV,
            stdout=tmp_path / "stdout",
            stderr=tmp_path / "stderr",
            attempt_id=ATTEMPT,
        ).release()
        async with asyncio.timeout(60):
            begun = asyncio.Event()
            asyncio.get_running_loop().add_reader(held, begun.set)
            await begun.wait()
            asyncio.get_running_loop().remove_reader(held)
        ended = await running.terminate(grace_s=0.05)
        assert ended.confirmed
        said = [
            os.read(held, 4096),
            os.read(held, 4096),
        ]  # It raises BlockingIOError while somebody holds the other end.
        assert said[1] == b""
    finally:
        os.close(held)


async def test_where_the_system_tells_of_no_births_the_table_is_read_twice_and_no_more(monkeypatch):
    """Each time it starts a program there (`ps`), for which everything waits."""
    looks = []
    monkeypatch.setattr(process_table, "newest_pid", lambda: None)
    monkeypatch.setattr(ending, "family_find", lambda family: looks.append(family) or [])
    assert (await ending.family_end(ending.Family(leader=None, attempt_id=ATTEMPT), grace_s=0)).confirmed
    assert len(looks) == 2
