"""The Antigravity broker's client against a scripted broker, by real HTTP: what the conformance suite doesn't ask."""

import json
from pathlib import Path

import pytest

from local_daemon.config import settings as daemon_settings
from local_daemon.executors import antigravity, port, registry
from local_daemon.processes import process_table
from local_daemon.protocol import states
from local_daemon.protocol.states import FailureCause
from tests.integration.daemon.executors.conftest import Attempt, Cast
from tests.integration.daemon.machine import Machine, git, machine_start, repository_make

NAME = antigravity.NAME
WORKS_ON = "echo hello >made.txt; echo $$ >$STARTED; exec sleep 1000"


def mood(cast: Cast, words: str) -> None:
    (cast[NAME].directory / f"{NAME}.d" / "mood").write_text(words)


async def cancelled(machine: Machine, step_id: str) -> None:
    await machine.cancel(step_id)


async def test_it_is_available_in_its_version_while_its_broker_answers(cast: Cast) -> None:
    executor = cast.registry.executor_get(NAME)
    found = await executor.availability()
    assert (found.status, found.version) == (port.AvailabilityStatus.AVAILABLE, "0.1.0-scripted")


@pytest.mark.parametrize(
    ("written", "status", "reason"),
    [
        ({}, port.AvailabilityStatus.MISSING, "names no broker"),
        ({"antigravity": {"broker": "http://127.0.0.1:1"}}, port.AvailabilityStatus.UNUSABLE, "does not answer"),
    ],
)
async def test_why_it_is_not_available_is_said(
    written: dict[str, object], status: port.AvailabilityStatus, reason: str
) -> None:
    built = registry.registry_build({}, daemon_settings.Settings.model_validate(written))
    found = await built.executor_get(NAME).availability()
    assert found.status is status
    assert reason in found.reason


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1", "http://user:secret@127.0.0.1", "http://127.0.0.1/?a=b", "127.0.0.1:8088", "http://"]
)
def test_an_address_that_is_none_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValueError, match="broker"):
        daemon_settings.Settings.model_validate({"antigravity": {"broker": url}})


async def test_a_broker_that_is_not_there_fails_the_step_as_worth_another_try(machine: Machine, cast: Cast) -> None:
    built = registry.registry_build(
        {}, daemon_settings.Settings.model_validate({"antigravity": {"broker": "http://127.0.0.1:1"}})
    )
    cast.registry._executors = built._executors  # type: ignore[attr-defined]
    step = await machine.until(await machine.submit(executor=NAME))
    assert step.failure is not None
    assert (step.state, step.failure.cause) == (states.StepState.FAILED, FailureCause.NETWORK)
    assert step.failure.retryable


async def test_a_repository_without_an_ide_is_told_in_the_brokers_words(machine: Machine, cast: Cast) -> None:
    mood(cast, "unbound")
    step = await machine.until(await machine.submit(executor=NAME))
    assert step.failure is not None
    assert (step.state, step.failure.cause) == (states.StepState.FAILED, FailureCause.REFUSED)
    assert "no instance bound" in step.failure.detail


async def test_a_cancel_that_the_broker_does_not_take_is_unconfirmed_and_leaves_the_worktree(
    machine: Machine, cast: Cast
) -> None:
    mood(cast, "deaf")
    cast[NAME].play(WORKS_ON)
    step_id = await machine.submit(executor=NAME)
    pid = int(await cast[NAME].started())
    await cancelled(machine, step_id)
    step = await machine.until(step_id)
    await machine.worktrees_gone()
    attempt = machine.attempt(step_id)
    assert step.state is states.StepState.NEEDS_ATTENTION
    assert attempt.failure is not None and attempt.failure.detail.startswith("unconfirmed")
    assert (machine.shop.worktree_path(attempt.attempt_id) / "made.txt").exists()
    assert git(machine.root, "show", f"{machine.result(step_id).ref}:made.txt") == "hello\n"
    entry = process_table.entry_read(pid)
    assert entry is not None and not entry.has_ended


@pytest.mark.parametrize("how", ["mute", "forgetful"])
async def test_work_of_which_nobody_knows_whether_it_goes_on_needs_attention(
    machine: Machine, cast: Cast, how: str
) -> None:
    mood(cast, how)
    cast[NAME].play(WORKS_ON)
    step_id = await machine.submit(executor=NAME)
    if how == "forgetful":
        await cast[NAME].started()
        mood(cast, "deaf")  # It takes no cancel either; a task that was taken away would count as ended.
        await cancelled(machine, step_id)
    assert (await machine.until(step_id)).state is states.StepState.NEEDS_ATTENTION


@pytest.mark.parametrize(
    ("how", "state"), [("well", states.StepState.FAILED), ("deaf", states.StepState.NEEDS_ATTENTION)]
)
# The first life's handle of its process is dropped with it, as by a death that this test can only play.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_after_a_crash_the_work_has_ended_only_if_the_broker_says_so(
    tmp_path: Path, cast: Cast, how: str, state: states.StepState
) -> None:
    mood(cast, how)
    cast[NAME].play(WORKS_ON)
    home, repository = tmp_path / "home", repository_make(tmp_path / "repository")
    async with machine_start(home, repository, executors=cast.registry) as machine:
        step_id = await machine.submit(executor=NAME)
        await cast[NAME].started()
        await machine.crash()
    async with machine_start(home, repository, executors=cast.registry) as machine:
        assert (await machine.until(step_id)).state is state


async def test_a_failure_after_a_stumble_tells_the_error_and_success_does_not(attempt: Attempt, cast: Cast) -> None:
    cast[NAME].play("echo 'overloaded' >&2; echo 'All done.'")
    report = await attempt(NAME)
    assert (report.outcome, report.summary) == (port.Outcome.SUCCEEDED, "All done.")
    cast[NAME].play("echo 'I tried.'; echo 'rate limit reached' >&2; exit 1")
    report = await attempt(NAME)
    assert (report.outcome, report.cause) == (port.Outcome.FAILED, FailureCause.RATE_LIMIT)


async def test_a_question_of_the_agent_waits_for_an_answer(attempt: Attempt, cast: Cast) -> None:
    cast[NAME].play("echo 'QUESTION: Tabs or spaces?'")
    report = await attempt(NAME)
    assert report.questions == ("Tabs or spaces?",)


class TestOnWindows:
    """The daemon in WSL, the IDE and its broker on Windows."""

    @pytest.fixture
    def broker_paths(self) -> dict[str, str]:
        return {"/": "W:"}

    async def test_folders_go_there_by_their_names_there_and_come_back_as_ours(
        self, machine: Machine, cast: Cast
    ) -> None:
        cast[NAME].play(r"""echo hello >made.txt; printf 'wrote W:%s%s\n' "$(pwd | tr / '\\')" '\made.txt'""")
        step = await machine.until(await machine.submit(executor=NAME))
        asked = json.loads((cast[NAME].directory / f"{NAME}.d" / "asked").read_text())
        assert asked["repo_root"] == "W:" + str(machine.root).replace("/", "\\")
        assert step.failure is None
        assert step.summary == "wrote .\\made.txt"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("/mnt/c/Users/ada/r", "C:\\Users\\ada\\r"),
        ("/home/ada/r", "\\\\wsl.localhost\\Ubuntu\\home\\ada\\r"),
        ("/mnt/cd/r", "\\\\wsl.localhost\\Ubuntu\\mnt\\cd\\r"),
        ("/srv/code/r", "/Volumes/code/r"),
    ],
)
def test_the_longest_of_our_folders_decides_what_theirs_is_called(ours: str, theirs: str) -> None:
    paths = {"/": "\\\\wsl.localhost\\Ubuntu", "/mnt/c": "C:", "/srv": "/Volumes"}
    assert antigravity.path_translate(Path(ours), paths) == theirs
