"""What every executor does, whichever it is: played from recorded streams as real processes, through the scheduler.

A new executor joins by one entry in `subjects`. That the recordings are what the CLIs say today is the affair of
tests/executors, which runs the CLIs themselves.
"""

import pytest

from local_daemon.executors import port
from local_daemon.processes import process_table
from local_daemon.protocol import states
from local_daemon.protocol.states import FailureCause
from tests.integration.daemon.executors.conftest import Attempt, Cast
from tests.integration.daemon.executors.player import transcript
from tests.integration.daemon.executors.subjects import LISTENING, MESSAGE, STARTED_HERE, STREAMING, SUBJECTS, Subject
from tests.integration.daemon.machine import Machine, git

every_executor = pytest.mark.parametrize("subject", SUBJECTS, ids=str)
every_program = pytest.mark.parametrize("subject", STARTED_HERE, ids=str)
every_process = pytest.mark.parametrize("subject", LISTENING, ids=str)
every_stream = pytest.mark.parametrize("subject", STREAMING, ids=str)
WRITES = "echo hello >made.txt"
ADDS = """\
diff --git a/made.txt b/made.txt
new file mode 100644
--- /dev/null
+++ b/made.txt
@@ -0,0 +1 @@
+hello
"""
CHANGES_NOTHING_THERE = """\
--- a/missing.txt
+++ b/missing.txt
@@ -1 +1 @@
-old
+new
"""
FILES = {"params": {"files": {"made.txt": "hello\n"}}}
HUGE_LINES = 40_000


@every_executor
async def test_success_is_recorded_with_its_edits_words_thread_and_usage(
    machine: Machine, cast: Cast, subject: Subject
) -> None:
    cast[subject.name].play(f"{WRITES}\n{subject.success_words}\n")
    step = await machine.until(await machine.submit(executor=subject.name, goal="make it"))
    result = machine.result(step.step_id)
    assert (result.state, result.failure) == (states.StepState.COMPLETED, None)
    assert git(machine.root, "show", f"{result.ref}:made.txt") == "hello\n"
    assert result.summary == MESSAGE
    usage = result.usage
    assert (usage.model, usage.input_tokens, usage.cached_input_tokens, usage.output_tokens) == (
        subject.usage.model, subject.usage.input_tokens, subject.usage.cached_input_tokens, subject.usage.output_tokens,
    )  # fmt: skip
    assert usage.cost_usd == (None if subject.usage.cost_usd is None else pytest.approx(subject.usage.cost_usd))
    assert machine.attempt(step.step_id).thread_id == subject.thread_id


@every_executor
async def test_the_goal_arrives_as_it_was_stated(machine: Machine, cast: Cast, subject: Subject) -> None:
    cast[subject.name].play(subject.success_words)
    goal = "mind the $HOME and the 'quotes'\n-- and é"
    await machine.until(await machine.submit(executor=subject.name, goal=goal))
    assert goal in cast[subject.name].prompt


@every_executor
async def test_a_failure_it_tells_of_fails_the_step_with_its_words_and_keeps_its_edits(
    machine: Machine, cast: Cast, subject: Subject
) -> None:
    cast[subject.name].play(f"{WRITES}\n{subject.failure_words}\n")
    step = await machine.until(await machine.submit(executor=subject.name))
    result = machine.result(step.step_id)
    assert result.failure is not None
    assert result.failure.kind is states.FailureKind.EXECUTOR
    assert result.failure.cause is subject.failure_cause
    assert "401" in result.failure.detail or "Unauthorized" in result.failure.detail
    assert git(machine.root, "show", f"{result.ref}:made.txt") == "hello\n"


@every_stream
async def test_garbage_is_no_success(attempt: Attempt, cast: Cast, subject: Subject) -> None:
    cast[subject.name].play(
        r"""head -c 20000 /dev/urandom; printf '{"type":"result"\n[[[[\n{"type":[]}\nnull\n'; exit 0"""
    )
    report = await attempt(subject.name)
    assert report.outcome is port.Outcome.FAILED
    assert report.usage.input_tokens is None


@every_stream
async def test_garbage_around_the_stream_does_not_hide_it(attempt: Attempt, cast: Cast, subject: Subject) -> None:
    noise = r"printf 'warning: \377\376 {not json}\n{\n'"
    cast[subject.name].play(f"{noise}\n{subject.success_words}\n{noise}\n")
    report = await attempt(subject.name)
    assert (report.outcome, report.summary) == (port.Outcome.SUCCEEDED, MESSAGE)


@every_process
async def test_huge_output_is_read_without_being_held(attempt: Attempt, cast: Cast, subject: Subject) -> None:
    long_line = "head -c 20000000 /dev/zero | tr '\\0' x; echo"
    many_lines = f"""yes '{{"type":"noise","text":"0123456789"}}' | head -n {HUGE_LINES}"""
    cast[subject.name].play(f"{many_lines}\n{long_line}\n{subject.success_words}\n")
    report = await attempt(subject.name)
    assert (report.outcome, report.summary) == (port.Outcome.SUCCEEDED, MESSAGE)


@every_stream
async def test_silence_is_no_success(attempt: Attempt, cast: Cast, subject: Subject) -> None:
    cast[subject.name].play("exit 0")
    report = await attempt(subject.name)
    assert (report.outcome, report.cause) == (port.Outcome.FAILED, FailureCause.UNCLEAR)
    assert "without saying that it finished" in report.detail


@every_stream
async def test_a_stream_that_breaks_off_is_no_success(attempt: Attempt, cast: Cast, subject: Subject) -> None:
    recorded = transcript(f"{subject.name}-success")
    lines = len(recorded.read_text().splitlines())
    cast[subject.name].play(f"head -n {lines - 1} '{recorded}'; tail -n 1 '{recorded}' | head -c 20; exit 0")
    assert (await attempt(subject.name)).outcome is port.Outcome.FAILED


@every_process
async def test_success_with_another_exit_code_is_a_failure(attempt: Attempt, cast: Cast, subject: Subject) -> None:
    cast[subject.name].play(f"{subject.success_words}\nexit 3\n")
    report = await attempt(subject.name)
    assert report.outcome is port.Outcome.FAILED
    assert "exit code 3" in report.detail


@every_stream
async def test_failure_with_exit_code_zero_is_a_failure(attempt: Attempt, cast: Cast, subject: Subject) -> None:
    cast[subject.name].play(f"cat '{transcript(f'{subject.name}-auth')}'\nexit 0\n")
    report = await attempt(subject.name)
    assert (report.outcome, report.cause) == (port.Outcome.FAILED, FailureCause.AUTH)


@every_program
async def test_a_crash_is_told_with_its_last_words(attempt: Attempt, cast: Cast, subject: Subject) -> None:
    cast[subject.name].play("echo 'panic: index out of range' >&2; kill -9 $$")
    report = await attempt(subject.name)
    assert (report.outcome, report.cause) == (port.Outcome.FAILED, FailureCause.CRASHED)
    assert "SIGKILL" in report.detail
    assert "panic: index out of range" in report.detail


@every_program
async def test_a_missing_program_fails_before_anything_starts(machine: Machine, cast: Cast, subject: Subject) -> None:
    (cast[subject.name].directory / subject.name).unlink()
    step = await machine.until(await machine.submit(executor=subject.name))
    assert step.failure is not None
    assert step.failure.kind is states.FailureKind.EXECUTOR
    assert "PATH" in step.failure.detail
    assert not cast[subject.name].is_called
    availability = await cast.registry.executor_get(subject.name).availability()
    assert availability.status is port.AvailabilityStatus.MISSING


@every_executor
async def test_a_cancel_ends_it_and_all_it_started_and_keeps_its_edits(
    machine: Machine, cast: Cast, subject: Subject
) -> None:
    cast[subject.name].play(
        f"{WRITES}\n(trap '' TERM; setsid sleep 1000) & child=$!\nsleep 1000 & echo $$ $child $! >$STARTED\nwait\n"
    )
    step_id = await machine.submit(executor=subject.name)
    pids = [int(word) for word in (await cast[subject.name].started()).split()]
    await machine.cancel(step_id)
    step = await machine.until(step_id)
    assert step.state is states.StepState.CANCELLED
    assert git(machine.root, "show", f"{machine.result(step_id).ref}:made.txt") == "hello\n"
    for pid in pids:
        left = process_table.entry_read(pid)
        assert left is None or left.has_ended


@pytest.mark.parametrize(("limit", "cause"), [("timeout_s", None), ("stall_timeout_s", FailureCause.STALLED)])
@every_executor
async def test_one_that_takes_too_long_or_falls_silent_is_ended_with_all_it_started_and_keeps_its_edits(
    machine: Machine, cast: Cast, subject: Subject, limit: str, cause: FailureCause | None
) -> None:
    cast[subject.name].play(f"{WRITES}\necho begin >&2\nsetsid sleep 1000 & child=$!\necho $$ $child >$STARTED\nwait\n")
    # Before the first word of a talk a Python has to come up.
    seconds = 6 if subject.talks or subject.is_remote else 2
    step_id = await machine.submit(executor=subject.name, **{limit: seconds})
    pids = [int(word) for word in (await cast[subject.name].started()).split()]
    step = await machine.until(step_id)
    assert step.failure is not None
    assert (step.failure.kind, step.failure.cause) == (states.FailureKind.TIMEOUT, cause)
    assert step.failure.retryable
    assert git(machine.root, "show", f"{machine.result(step_id).ref}:made.txt") == "hello\n"
    for pid in pids:
        left = process_table.entry_read(pid)
        assert left is None or left.has_ended


@every_program
async def test_what_it_says_can_be_read_while_it_works(machine: Machine, cast: Cast, subject: Subject) -> None:
    cast[subject.name].play("echo begin >&2\necho $$ >$STARTED\nexec sleep 1000\n")
    step_id = await machine.submit(executor=subject.name)
    await cast[subject.name].started()
    piece = machine.shop.outputs.read(machine.attempt(step_id).attempt_id, "stderr", offset=0, length=100)
    assert piece is not None
    assert piece.content == b"begin\n"
    await machine.cancel(step_id)
    await machine.until(step_id)


@every_program
async def test_it_sees_nothing_of_the_operators_environment_that_nobody_offered(
    machine: Machine, cast: Cast, subject: Subject
) -> None:
    hidden = {"AWS_SECRET_ACCESS_KEY": "secret", "DATABASE_URL": "postgres://x", "TEAM_KEY": "another"}
    machine.shop.environment.update(hidden)  # type: ignore[attr-defined]
    cast[subject.name].play(subject.success_words)
    await machine.until(await machine.submit(executor=subject.name))
    assert not hidden.keys() & cast[subject.name].environment.keys()


@every_process
async def test_one_that_keeps_talking_is_left_alone(machine: Machine, cast: Cast, subject: Subject) -> None:
    talks = "for word in one two three four; do echo $word >&2; sleep 0.7; done"
    cast[subject.name].play(f"{talks}\n{WRITES}\n{subject.success_words}\n")
    step = await machine.until(await machine.submit(executor=subject.name, stall_timeout_s=2))
    assert (step.state, step.failure) == (states.StepState.COMPLETED, None)


@every_stream
async def test_what_it_told_before_the_time_was_up_is_kept(machine: Machine, cast: Cast, subject: Subject) -> None:
    recorded = transcript(f"{subject.name}-success")
    cast[subject.name].play(f"{WRITES}\nhead -n 1 '{recorded}'\nsleep 1000\n")
    step = await machine.until(await machine.submit(executor=subject.name, timeout_s=2))
    assert step.failure is not None
    assert step.failure.kind is states.FailureKind.TIMEOUT
    assert machine.attempt(step.step_id).thread_id == subject.thread_id
    assert git(machine.root, "show", f"{machine.result(step.step_id).ref}:made.txt") == "hello\n"


@every_stream
async def test_a_question_at_the_end_waits_for_an_answer(machine: Machine, cast: Cast, subject: Subject) -> None:
    asks = f"sed 's/{MESSAGE}/I need to know.\\\\nQUESTION: Tabs or spaces?/' '{transcript(f'{subject.name}-success')}'"
    cast[subject.name].play(asks)
    step = await machine.until(await machine.submit(executor=subject.name))
    assert step.state is states.StepState.WAITING
    assert machine.result(step.step_id).question == "Tabs or spaces?"


@every_stream
async def test_a_resumed_thread_is_named_on_the_command_line_and_pays_for_itself_only(
    attempt: Attempt, cast: Cast, subject: Subject, tmp_path: object
) -> None:
    assert subject.thread_id is not None
    player = cast[subject.name]
    player.play(subject.success_words)
    first = await attempt(subject.name, goal="the first goal")
    assert first.thread_id == subject.thread_id
    assert subject.thread_id not in player.arguments
    player.play(f"cat '{transcript(f'{subject.name}-resumed')}'")
    thread = port.Thread(thread_id=subject.thread_id, worktree=_worktree(tmp_path), usage=first.usage)
    second = await attempt(subject.name, goal="the first goal", question="Which?", answer="The second.", thread=thread)
    assert subject.thread_id in player.arguments
    assert "The second." in player.prompt
    assert "the first goal" not in player.prompt
    assert second.outcome is port.Outcome.SUCCEEDED
    assert second.usage.input_tokens == subject.resumed_usage.input_tokens
    assert second.usage.output_tokens == subject.resumed_usage.output_tokens
    expected = subject.resumed_usage.cost_usd
    assert second.usage.cost_usd == (None if expected is None else pytest.approx(expected))


def _worktree(tmp_path: object) -> object:
    return tmp_path / "tree"  # type: ignore[operator]


# What needs no CLI keeps the same promises, as far as each can be made to succeed, fail or wait.


@pytest.mark.parametrize(("executor", "task"), [("fake-success", FILES), ("patch", {"patch": ADDS})])
async def test_a_built_in_success_is_recorded_with_its_edits(
    machine: Machine, executor: str, task: dict[str, object]
) -> None:
    step = await machine.until(await machine.submit(executor=executor, **task))
    result = machine.result(step.step_id)
    assert (result.state, result.failure) == (states.StepState.COMPLETED, None)
    assert git(machine.root, "show", f"{result.ref}:made.txt") == "hello\n"


@pytest.mark.parametrize(("executor", "task"), [("fake-failure", FILES), ("patch", {"patch": CHANGES_NOTHING_THERE})])
async def test_a_built_in_failure_says_why(machine: Machine, executor: str, task: dict[str, object]) -> None:
    step = await machine.until(await machine.submit(executor=executor, **task))
    assert step.failure is not None
    assert step.failure.kind is states.FailureKind.EXECUTOR
    assert step.failure.detail


@pytest.mark.parametrize(("executor", "task"), [("fake-timeout", FILES), ("ide-chat", {})])
async def test_a_built_in_that_waits_is_cancelled(machine: Machine, executor: str, task: dict[str, object]) -> None:
    step_id = await machine.submit(executor=executor, **task)
    await machine.until(step_id, states.StepState.RUNNING)
    await machine.cancel(step_id)
    assert (await machine.until(step_id)).state is states.StepState.CANCELLED
