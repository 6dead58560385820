"""An agent over the Agent Client Protocol: permissions become questions, and an answer goes on in its thread."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from local_daemon.executors import port, profiles
from local_daemon.processes import capture
from local_daemon.protocol.states import FailureCause, StepState
from tests.integration.daemon.executors.acp_agent import THREAD_ID, agent_words
from tests.integration.daemon.executors.conftest import Attempt, Cast
from tests.integration.daemon.machine import Machine

NAME = "own-agent"
TITLE = "rm -rf build"
QUESTION = f"It asks for permission: {TITLE}\nAnswer `allow`, or say what to do instead."
"""As an earlier release recorded it."""


def profile(approval: profiles.Approval) -> profiles.Profile:
    return profiles.Profile(name="p", executor=NAME, approval=approval)


async def test_permission_becomes_a_question(attempt: Attempt, cast: Cast) -> None:
    cast[NAME].play(agent_words("--permission", TITLE, "--heeds-cancel"))
    report = await attempt(NAME)
    asks, request, answers = "".join(report.questions).split("\n")
    assert (report.outcome, len(report.questions)) == (port.Outcome.QUESTION, 1)
    assert [asks, answers] == QUESTION.split("\n")
    assert re.fullmatch("Request [0-9a-f]{24}", request)
    assert report.thread_id == THREAD_ID


SECRETIVE = [
    'curl -H "Authorization: ' + 'Bearer abc12345678" http://localhost/x',
    "git clone https://ci:" + "hunter2@example.org/x.git",
    "PGPASSWORD=" + "postgres psql -c 'select 1'",
    "/home/ada/tree/build.sh",
    "cat <<E -----BEGIN RSA " + "PRIVATE KEY----- " + "Ab1+" * 16,
    "export password:",
]


def recorded(question: str) -> str:
    """As a gate shows it, and the next attempt gets it."""
    return capture.clean_text(question, worktree_root=Path("/home/ada/tree"), home=None, secrets={})


@pytest.mark.parametrize("title", SECRETIVE)
async def test_what_is_redacted_in_the_question_is_allowed_by_the_answer(
    attempt: Attempt, cast: Cast, title: str
) -> None:
    cast[NAME].play(agent_words("--permission", title, "--heeds-cancel"))
    (asked,) = (await attempt(NAME)).questions
    report = await attempt(NAME, question=recorded(asked), answer="allow")
    assert (report.outcome, report.questions) == (port.Outcome.SUCCEEDED, ())


async def test_a_step_is_allowed_what_its_question_shows_redacted(machine: Machine, cast: Cast) -> None:
    cast[NAME].play(agent_words("--permission", SECRETIVE[1], "--heeds-cancel"))
    step = await machine.until(await machine.submit(executor=NAME))
    question = machine.result(step.step_id).question
    assert question is not None
    assert "Request " in question
    assert SECRETIVE[1] not in question
    await machine.answer(step, "allow")
    assert (await machine.until(step.step_id)).state is StepState.COMPLETED


async def test_only_what_was_asked_is_allowed_where_the_question_shows_no_difference(
    attempt: Attempt, cast: Cast
) -> None:
    cast[NAME].play(agent_words("--permission", SECRETIVE[0], "--heeds-cancel"))
    (asked,) = (await attempt(NAME)).questions
    for other in (SECRETIVE[0].replace("8", "9"), recorded(asked).partition("\n")[0].partition(": ")[2]):
        cast[NAME].play(agent_words("--permission", other, "--heeds-cancel"))
        report = await attempt(NAME, question=recorded(asked), answer="allow")
        assert report.outcome is port.Outcome.QUESTION


async def test_nobody_can_tell_what_a_request_names_without_the_key_of_its_step(attempt: Attempt, cast: Cast) -> None:
    cast[NAME].play(agent_words("--permission", TITLE, "--heeds-cancel"))
    keys = (b"of this step", b"of another", b"of this step")
    one, other, again = [(await attempt(NAME, key=key)).questions for key in keys]
    assert one == again != other
    report = await attempt(NAME, key=b"of another", question=recorded(one[0]), answer="allow")
    assert report.outcome is port.Outcome.QUESTION


async def test_without_a_key_a_question_names_no_request(attempt: Attempt, cast: Cast) -> None:
    cast[NAME].play(agent_words("--permission", TITLE, "--heeds-cancel"))
    assert (await attempt(NAME, key=None)).questions == (QUESTION,)


async def test_of_two_long_titles_only_the_one_that_was_asked_is_allowed(attempt: Attempt, cast: Cast) -> None:
    cast[NAME].play(agent_words("--permission", "echo " + "a" * 400 + "; ls", "--heeds-cancel"))
    (asked,) = (await attempt(NAME)).questions
    cast[NAME].play(agent_words("--permission", "echo " + "a" * 400 + "; rm", "--heeds-cancel"))
    assert (await attempt(NAME, question=asked, answer="allow")).outcome is port.Outcome.QUESTION


def test_the_order_of_a_daemon_that_began_before_its_update_is_understood(cast: Cast, tmp_path: Path) -> None:
    cast[NAME].play(agent_words("--permission", TITLE))
    task = port.ExecutorTask(
        attempt_id="att_1",
        worktree=tmp_path,
        scratch=tmp_path,
        goal="try it",
        timeout_s=30,
        question=QUESTION,
        answer="allow",
    )
    launch = cast.registry.executor_get(NAME).prepare(task)
    for path, content in launch.files.items():
        known = {"prompt", "follow_up", "approval", "thread_id", "granted"}
        path.write_text(json.dumps({name: value for name, value in json.loads(content).items() if name in known}))
    done = subprocess.run(launch.argv, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "asked" not in [json.loads(line)["type"] for line in done.stdout.splitlines()]


async def test_allowed_it_goes_on_in_its_thread_and_may(attempt: Attempt, cast: Cast, tmp_path: Path) -> None:
    cast[NAME].play(agent_words("--permission", TITLE, "--loads"))
    thread = port.Thread(thread_id="an-earlier-thread", worktree=tmp_path / "tree")
    report = await attempt(NAME, goal="Tidy up.", question=QUESTION, answer="Allow it.", thread=thread)
    assert (report.outcome, report.thread_id) == (port.Outcome.SUCCEEDED, "an-earlier-thread")
    assert report.summary == "The file is there."
    assert "Tidy up." not in cast[NAME].prompt


async def test_an_agent_that_forgot_the_thread_is_told_everything(attempt: Attempt, cast: Cast, tmp_path: Path) -> None:
    cast[NAME].play(agent_words("--permission", TITLE))
    thread = port.Thread(thread_id="an-earlier-thread", worktree=tmp_path / "tree")
    report = await attempt(NAME, goal="Tidy up.", question=QUESTION, answer="allow", thread=thread)
    assert (report.outcome, report.thread_id) == (port.Outcome.SUCCEEDED, THREAD_ID)
    assert all(text in cast[NAME].prompt for text in ("Tidy up.", TITLE, "allow"))


async def test_in_another_place_it_begins_anew_and_is_told_everything(
    attempt: Attempt, cast: Cast, tmp_path: Path
) -> None:
    cast[NAME].play(agent_words("--permission", TITLE, "--loads"))
    thread = port.Thread(thread_id="an-earlier-thread", worktree=tmp_path / "elsewhere")
    report = await attempt(NAME, goal="Tidy up.", question=QUESTION, answer="allow", thread=thread)
    assert (report.outcome, report.thread_id) == (port.Outcome.SUCCEEDED, THREAD_ID)
    assert "Tidy up." in cast[NAME].prompt


async def test_another_answer_allows_nothing(attempt: Attempt, cast: Cast) -> None:
    cast[NAME].play(agent_words("--permission", TITLE, "--heeds-cancel"))
    report = await attempt(NAME, question=QUESTION, answer="No, leave it.")
    assert report.outcome is port.Outcome.QUESTION


@pytest.mark.parametrize(
    ("approval", "kind", "is_allowed"),
    [
        (profiles.Approval.NEVER, "execute", True),
        (profiles.Approval.EDITS, "edit", True),
        (profiles.Approval.EDITS, "execute", False),
    ],
)
async def test_a_profile_answers_for_the_operator(
    attempt: Attempt, cast: Cast, approval: profiles.Approval, kind: str, is_allowed: bool
) -> None:
    cast[NAME].play(agent_words("--permission", TITLE, "--kind", kind))
    report = await attempt(NAME, profile=profile(approval))
    assert report.outcome is port.Outcome.SUCCEEDED
    assert report.warnings == (() if is_allowed else (f"it was not allowed to use {TITLE}",))


async def test_an_agent_that_refuses_says_so(attempt: Attempt, cast: Cast) -> None:
    cast[NAME].play(agent_words("--stop-reason", "refusal"))
    report = await attempt(NAME)
    assert (report.outcome, report.cause) == (port.Outcome.FAILED, FailureCause.REFUSED)


@pytest.mark.parametrize("scene", ["exit 0", "echo hello; exit 0", "exec </dev/null; exit 7"])
async def test_an_agent_that_hangs_up_is_a_failure(attempt: Attempt, cast: Cast, scene: str) -> None:
    cast[NAME].play(scene)
    assert (await attempt(NAME)).outcome is port.Outcome.FAILED


async def test_what_only_its_command_can_say_is_refused(attempt: Attempt) -> None:
    wanted = profiles.Profile(name="p", executor=NAME, sandbox=profiles.Sandbox.WORKSPACE)
    with pytest.raises(port.TaskUnsuitable):
        await attempt(NAME, profile=wanted)


@pytest.mark.parametrize(
    ("then", "told"), [("kill -9 $$", "SIGKILL"), ("exec sleep 600", "closed its output"), ("exit 3", "exit code 3")]
)
async def test_an_agent_that_hangs_up_before_it_ends_is_told_by_its_end(
    attempt: Attempt, cast: Cast, then: str, told: str
) -> None:
    """Its output is closed a moment before its end can be seen, always."""
    cast[NAME].play(f"exec 1>&-; cat >/dev/null; echo 'panic: index out of range' >&2; {then}")
    report = await attempt(NAME)
    assert (report.outcome, report.cause) == (port.Outcome.FAILED, FailureCause.CRASHED)
    assert told in report.detail
    assert "panic: index out of range" in report.detail
    assert "Traceback" not in report.detail
