"""Executors that break the rules of a well-behaved program, played as real processes: whatever they print or leave
running, the step comes to a truthful end and the daemon goes on."""

from pathlib import Path

import pytest

from local_daemon.executors import port
from local_daemon.processes import capture, flood, process_table
from local_daemon.protocol import states
from local_daemon.protocol.states import FailureCause
from tests.integration.daemon.executors.conftest import Attempt, Cast
from tests.integration.daemon.executors.player import transcript
from tests.integration.daemon.executors.subjects import MESSAGE, STREAMING, Subject
from tests.integration.daemon.machine import Machine, git

every_stream = pytest.mark.parametrize("subject", STREAMING, ids=str)
codex = pytest.mark.parametrize("subject", STREAMING[:1], ids=str)
WRITES = "echo hello >made.txt"


def has_ended(pid: int) -> bool:
    left = process_table.entry_read(pid)
    return left is None or left.has_ended


@pytest.mark.parametrize("word", [r"\ud800", r"\u0000", r"\u001b[2J"], ids=["half a character", "NUL", "escape"])
@every_stream
async def test_ids_and_names_that_no_record_can_hold_do_not_stop_the_step(
    machine: Machine, cast: Cast, subject: Subject, word: str
) -> None:
    """Each of them made the record refuse the whole attempt, at each start of the daemon anew."""
    told = transcript(f"{subject.name}-success").read_text()
    assert subject.thread_id is not None
    for name in filter(None, (subject.thread_id, subject.usage.model)):
        told = told.replace(name, word)
    (machine.root.parent / "words").write_text(told)
    cast[subject.name].play(f"{WRITES}\ncat '{machine.root.parent / 'words'}'\n")
    step = await machine.until(await machine.submit(executor=subject.name))
    result = machine.result(step.step_id)
    assert (result.state, result.summary) == (states.StepState.COMPLETED, MESSAGE)
    assert git(machine.root, "show", f"{result.ref}:made.txt") == "hello\n"
    assert machine.attempt(step.step_id).thread_id is None


@pytest.mark.parametrize("word", [r"\ud800", r"\u0000", r"\u001b]0;title\u0007"], ids=["half", "NUL", "escape"])
@every_stream
async def test_words_that_no_terminal_should_see_are_recorded_as_words(
    machine: Machine, cast: Cast, subject: Subject, word: str
) -> None:
    told = transcript(f"{subject.name}-success").read_text().replace(MESSAGE, f"Well{word}done")
    (machine.root.parent / "words").write_text(told)
    cast[subject.name].play(f"cat '{machine.root.parent / 'words'}'\n")
    step = await machine.until(await machine.submit(executor=subject.name))
    result = machine.result(step.step_id)
    assert result.state is states.StepState.COMPLETED
    assert result.summary.startswith("Well")
    assert result.summary.endswith("done")
    assert "\x00" not in result.summary


@codex
async def test_one_that_closes_its_outputs_and_lives_is_at_work_until_it_is_cancelled(
    machine: Machine, cast: Cast, subject: Subject
) -> None:
    cast[subject.name].play(f"{WRITES}\n{subject.success_words}\nexec >&- 2>&-\necho $$ >$STARTED\nexec sleep 1000\n")
    step_id = await machine.submit(executor=subject.name)
    pid = int(await cast[subject.name].started())
    assert not has_ended(pid)
    await machine.cancel(step_id)
    assert (await machine.until(step_id)).state is states.StepState.CANCELLED
    assert has_ended(pid)


@codex
async def test_one_that_ends_ends_its_step_though_a_child_holds_its_outputs_open(
    machine: Machine, cast: Cast, subject: Subject
) -> None:
    cast[subject.name].play(
        f"{WRITES}\n(trap '' HUP TERM; setsid sleep 1000) & echo $! >$STARTED\n{subject.success_words}\nexit 0\n"
    )
    step_id = await machine.submit(executor=subject.name)
    pid = int(await cast[subject.name].started())
    step = await machine.until(step_id)
    assert step.state is states.StepState.COMPLETED
    assert has_ended(pid)


@codex
async def test_a_hundred_megabytes_without_a_line_are_one_log_with_head_and_tail(
    machine: Machine, cast: Cast, subject: Subject
) -> None:
    flood = "head -c 104857600 /dev/zero | tr '\\0' x"
    cast[subject.name].play(f"{subject.success_words}\n{flood}\necho; {subject.success_words}\n")
    step = await machine.until(await machine.submit(executor=subject.name))
    result = machine.result(step.step_id)
    assert result.state is states.StepState.COMPLETED
    (stdout,) = [each for each in result.artifacts if each.name == "stdout.log"]
    assert len(machine.content(stdout)) <= capture.LOG_BYTES_MAX + 100


@codex
async def test_one_that_never_stops_printing_is_ended_before_the_disk_is_full(
    machine: Machine, cast: Cast, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flood, "OUTPUT_BYTES_MAX", 1_000_000)
    monkeypatch.setattr(flood, "_SOONEST_S", 0.01)
    cast[subject.name].play(f"{WRITES}\necho $$ >$STARTED\nhead -c 2000000 /dev/zero\nexec sleep 1000\n")
    step_id = await machine.submit(executor=subject.name)
    pid = int(await cast[subject.name].started())
    step = await machine.until(step_id)
    assert step.failure is not None
    assert (step.failure.kind, step.failure.cause) == (states.FailureKind.EXECUTOR, None)
    assert "printed more than 1000000 bytes" in step.failure.detail
    assert git(machine.root, "show", f"{machine.result(step_id).ref}:made.txt") == "hello\n"
    assert has_ended(pid)


async def test_an_agent_that_ends_while_its_child_holds_the_talk_open_has_ended(attempt: Attempt, cast: Cast) -> None:
    cast["own-agent"].play("sleep 1000 & exit 3")
    report = await attempt("own-agent")
    assert (report.outcome, report.cause) == (port.Outcome.FAILED, FailureCause.CRASHED)
    assert "exit code 3" in report.detail


async def test_an_agent_that_says_too_much_in_one_line_fails(attempt: Attempt, cast: Cast) -> None:
    cast["own-agent"].play("head -c 20000000 /dev/zero | tr '\\0' x; echo; exec sleep 1000")
    report = await attempt("own-agent")
    assert (report.outcome, report.cause) == (port.Outcome.FAILED, FailureCause.CRASHED)
    assert "bytes in one line" in report.detail
    assert "Traceback" not in report.detail


async def test_a_message_of_megabytes_of_nothing_holds_up_nobody(attempt: Attempt, cast: Cast, tmp_path: Path) -> None:
    told = transcript("codex-success").read_text().replace(MESSAGE, "\\n" * 3_000_000)
    (tmp_path / "words").write_text(told)
    cast["codex"].play(f"cat '{tmp_path / 'words'}'\n")
    assert (await attempt("codex")).outcome is port.Outcome.SUCCEEDED
