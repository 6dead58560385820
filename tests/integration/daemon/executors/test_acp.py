"""An agent over the Agent Client Protocol: permissions become questions, and an answer goes on in its thread."""

from pathlib import Path

import pytest

from local_daemon.executors import port, profiles
from local_daemon.protocol.states import FailureCause
from tests.integration.daemon.executors.acp_agent import THREAD_ID, agent_words
from tests.integration.daemon.executors.conftest import Attempt, Cast

NAME = "own-agent"
TITLE = "rm -rf build"
QUESTION = f"It asks for permission: {TITLE}\nAnswer `allow`, or say what to do instead."


def profile(approval: profiles.Approval) -> profiles.Profile:
    return profiles.Profile(name="p", executor=NAME, approval=approval)


async def test_permission_becomes_a_question(attempt: Attempt, cast: Cast) -> None:
    cast[NAME].play(agent_words("--permission", TITLE, "--heeds-cancel"))
    report = await attempt(NAME)
    assert (report.outcome, report.questions) == (port.Outcome.QUESTION, (QUESTION,))
    assert report.thread_id == THREAD_ID


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
