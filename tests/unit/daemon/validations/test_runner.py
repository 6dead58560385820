"""Checks: a verdict for every way a command line can end, and nothing of it left running."""

import asyncio
import os
from pathlib import Path

import pytest

from local_daemon.processes import ending, flood, process_table
from local_daemon.protocol import ids
from local_daemon.protocol.states import ValidationVerdict
from local_daemon.validations import runner
from tests import pipes

ATTEMPT = ids.new_id(ids.IdPrefix.ATTEMPT)  # Its own: tests that run beside these must not be taken for its family.


@pytest.fixture
def check(tmp_path):
    async def check(
        command: str, *, timeout_s: float = 30, worktree: Path = tmp_path, cancelled: asyncio.Event | None = None
    ) -> runner.ValidationOutcome:
        return await runner.validation_run(
            runner.ValidationCommand(name="unit", command=command, timeout_s=timeout_s),
            worktree=worktree,
            env={"PATH": os.environ["PATH"]},
            scratch=tmp_path,
            attempt_id=ATTEMPT,
            cancelled=cancelled or asyncio.Event(),
        )

    return check


@pytest.mark.parametrize(
    ("command", "verdict", "exit_code"),
    [
        ("true", ValidationVerdict.PASSED, 0),
        ("exit 3", ValidationVerdict.FAILED, 3),
        ("test -f gone && echo found", ValidationVerdict.FAILED, 1),
        ("kill -SEGV $$", ValidationVerdict.FAILED, None),
        ("no-such-tool --check", ValidationVerdict.ERRORED, 127),
    ],
)
async def test_the_exit_decides(check, command, verdict, exit_code):
    outcome = await check(command)
    assert (outcome.verdict, outcome.exit_code) == (verdict, exit_code)


async def test_output_and_time_are_kept(check, tmp_path):
    outcome = await check("pwd; echo $ROPEWAY_VALIDATION; echo bad >&2; sleep 0.05")
    assert outcome.stdout.read_text() == f"{tmp_path}\nunit\n"
    assert outcome.stderr.read_text() == "bad\n"
    assert outcome.duration_ms >= 50


async def test_a_check_that_takes_too_long_is_a_timeout_and_its_children_are_gone(check, tmp_path):
    outcome = await check("setsid sleep 600 & nohup sleep 600 & sleep 600", timeout_s=0.1)
    assert outcome.verdict is ValidationVerdict.TIMEOUT
    assert outcome.exit_code is None
    assert _left_running() == []


@pytest.mark.parametrize("redirect", ["", ">&2"])
async def test_a_check_that_prints_without_end_is_ended_and_has_given_no_answer(check, monkeypatch, redirect):
    monkeypatch.setattr(flood, "OUTPUT_BYTES_MAX", 1_000_000)
    monkeypatch.setattr(flood, "_SOONEST_S", 0.01)
    monkeypatch.setattr(runner, "_GRACE_S", 0.1)
    outcome = await check(f"trap '' TERM; echo begin {redirect}; head -c 2000000 /dev/zero {redirect}; exec sleep 600")
    assert (outcome.verdict, outcome.exit_code) == (ValidationVerdict.ERRORED, None)
    assert outcome.detail == "ended: it printed more than 1000000 bytes"
    printed = outcome.stderr if redirect else outcome.stdout
    assert printed.read_bytes().startswith(b"begin\n")
    assert _left_running() == []


async def test_a_check_that_is_run_again_shows_only_what_it_printed_this_time(check):
    await check("echo first; echo bad >&2")
    outcome = await check("echo second")
    assert (outcome.stdout.read_text(), outcome.stderr.read_text()) == ("second\n", "")


async def test_a_server_left_behind_by_a_passed_check_is_ended(check):
    outcome = await check("setsid sleep 600 >/dev/null 2>&1 & exit 0")
    assert outcome.verdict is ValidationVerdict.PASSED
    assert _left_running() == []


async def test_a_worktree_that_is_gone_is_an_error_not_a_verdict(check, tmp_path):
    outcome = await check("true", worktree=tmp_path / "gone")
    assert outcome.verdict is ValidationVerdict.ERRORED
    assert str(tmp_path) not in outcome.detail
    assert outcome.stdout.read_bytes() == b""


async def test_a_cancelled_check_has_no_verdict_and_its_children_are_gone(check, tmp_path):
    os.mkfifo(tmp_path / "ready")
    cancelled = asyncio.Event()
    running = asyncio.ensure_future(check("setsid sleep 600 & echo go >ready; sleep 600", cancelled=cancelled))
    assert await pipes.pipe_read(tmp_path / "ready") == "go\n"
    cancelled.set()
    outcome = await running
    assert (outcome.verdict, outcome.exit_code, outcome.survivors) == (None, None, 0)
    assert _left_running() == []


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_what_could_not_be_ended_is_counted_also_after_a_cancel(check, monkeypatch, is_cancelled):
    ends = ending.family_end

    async def someone_stays(family, *, grace_s):
        await ends(family, grace_s=grace_s)
        return ending.Ended(confirmed=False, survivors=(1, 2))

    monkeypatch.setattr(ending, "family_end", someone_stays)
    cancelled = asyncio.Event()
    if is_cancelled:
        cancelled.set()
    outcome = await check("sleep 600" if is_cancelled else "true", cancelled=cancelled)
    assert outcome.survivors == 2
    assert outcome.verdict is (None if is_cancelled else ValidationVerdict.ERRORED)


async def test_cancelling_the_task_ends_the_check_first(check, tmp_path):
    os.mkfifo(tmp_path / "ready")
    running = asyncio.ensure_future(check("setsid sleep 600 & echo go >ready; sleep 600"))
    assert await pipes.pipe_read(tmp_path / "ready") == "go\n"
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert _left_running() == []


def _left_running() -> list[int]:
    return [
        entry.pid
        for entry in process_table.all_entries()
        if not entry.has_ended and process_table.carries(entry.pid, "ROPEWAY_ATTEMPT_ID", ATTEMPT)
    ]
