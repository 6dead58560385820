"""What an operator decides and sees: profiles that change the command line, the environment, logins, versions."""

import json
from pathlib import Path

import pytest

from local_daemon.attempts import selectors as attempts
from local_daemon.config import settings as daemon_settings
from local_daemon.executors import port, registry
from local_daemon.protocol import states
from tests.integration.daemon.executors.conftest import Cast
from tests.integration.daemon.executors.player import player_install, transcript
from tests.integration.daemon.executors.subjects import STREAMING, Subject
from tests.integration.daemon.machine import Machine, machine_start, repository_make

BY_ITSELF = {
    "codex": ["exec", "-s", "workspace-write"],
    "claude": ["-p", "--permission-mode", "acceptEdits"],
    "gemini": ["--approval-mode", "auto_edit"],
    "opencode": ["run", "--format", "json"],
    "qwen": ["--approval-mode", "auto-edit"],
}


@pytest.mark.parametrize("subject", STREAMING, ids=str)
async def test_without_a_profile_an_executor_is_confined_to_its_worktree(
    machine: Machine, cast: Cast, subject: Subject
) -> None:
    cast[subject.name].play(subject.success_words)
    await machine.until(await machine.submit(executor=subject.name))
    arguments = cast[subject.name].arguments
    assert set(BY_ITSELF[subject.name]) <= set(arguments)
    assert not {"yolo", "--auto", "bypassPermissions", "danger-full-access"} & set(arguments)


async def test_a_profile_changes_the_command_line(machine: Machine, cast: Cast) -> None:
    await machine.until(await machine.submit(executor="codex", profile="offline"))
    arguments = cast["codex"].arguments
    assert arguments[arguments.index("-s") + 1] == "read-only"
    assert arguments[arguments.index("-m") + 1] == "small"


async def test_the_model_that_was_asked_for_is_on_record_where_the_stream_tells_none(
    machine: Machine, cast: Cast
) -> None:
    cast["codex"].play(f"cat '{transcript('codex-success')}'")
    step = await machine.until(await machine.submit(executor="codex", profile="offline"))
    assert machine.result(step.step_id).usage.model == "small"


async def test_a_budget_reaches_the_executor_that_can_hold_it(machine: Machine, cast: Cast) -> None:
    await machine.until(await machine.submit(executor="claude", profile="frugal"))
    arguments = cast["claude"].arguments
    assert arguments[arguments.index("--max-budget-usd") + 1] == "0.5"
    assert arguments[arguments.index("--permission-mode") + 1] == "bypassPermissions"


async def test_what_is_left_of_a_steps_budget_reaches_the_executor_that_can_hold_it(
    machine: Machine, cast: Cast
) -> None:
    await machine.until(await machine.submit(executor="claude", profile="frugal", budget={"cost_usd": 0.25}))
    arguments = cast["claude"].arguments
    assert arguments[arguments.index("--max-budget-usd") + 1] == "0.25"


async def test_claude_is_stopped_by_the_tokens_of_its_answers_while_it_works(machine: Machine, cast: Cast) -> None:
    told = {"type": "assistant", "message": {"id": "msg_1", "usage": {"input_tokens": 5, "output_tokens": 70}}}
    cast["claude"].play(f"echo '{json.dumps(told)}'\nsleep 600")
    step = await machine.until(await machine.submit(executor="claude", budget={"output_tokens": 50}))
    assert step.failure is not None
    assert step.failure.cause is states.FailureCause.BUDGET
    assert machine.result(step.step_id).usage.output_tokens == 70
    assert machine.result(step.step_id).usage.is_partial


async def test_a_profile_ends_one_that_is_silent_too_long_unless_the_task_says_otherwise(
    machine: Machine, cast: Cast
) -> None:
    cast["qwen"].play(f"sleep 2\ncat '{transcript('qwen-success')}'")
    stalled = await machine.until(await machine.submit(executor="qwen", profile="impatient"))
    assert stalled.failure is not None
    assert (stalled.failure.cause, stalled.failure.detail) == (states.FailureCause.STALLED, "no output for 1 s")
    patient = await machine.until(await machine.submit(executor="qwen", profile="impatient", stall_timeout_s=0))
    assert patient.failure is None


async def test_a_task_may_choose_the_model(machine: Machine, cast: Cast) -> None:
    await machine.until(await machine.submit(executor="codex", profile="offline", params={"model": "large"}))
    arguments = cast["codex"].arguments
    assert arguments[arguments.index("-m") + 1] == "large"


@pytest.mark.parametrize(
    "task", [{"params": {"model": "--dangerous"}}, {"params": {"yolo": True}}, {"profile": "frugal"}]
)
async def test_what_the_operator_did_not_offer_never_starts(
    machine: Machine, cast: Cast, task: dict[str, object]
) -> None:
    step = await machine.until(await machine.submit(executor="codex", **task))
    assert step.failure is not None
    assert step.failure.kind is states.FailureKind.EXECUTOR
    assert not cast["codex"].is_called


async def test_a_retry_never_changes_the_executor_even_where_it_is_gone_and_another_is_there(
    machine: Machine, cast: Cast
) -> None:
    gone = cast["codex"].directory / "codex"
    cast["codex"].play(f"rm '{gone}'; echo 'too many requests' >&2; exit 1")
    step_id = await machine.submit(executor="codex", retry={"max_attempts": 2, "on": ["executor"]})
    step = await machine.until(step_id)
    assert step.failure is not None
    assert step.failure.detail == "codex is not installed, or not on the daemon's PATH"
    tries = machine.shop.database.read(lambda conn: attempts.attempts_list(conn, step_id))
    assert [each.executor for each in tries] == ["codex", "codex"]
    assert not cast["claude"].is_called


async def test_an_executor_sees_its_own_keys_and_what_its_profile_passes(
    machine: Machine, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {"ANTHROPIC_API_KEY": "a-key", "TEAM_PROXY": "a-proxy", "HTTPS_PROXY": "http://proxy"}
    hidden = {"OPENAI_API_KEY": "another-key", "AWS_SECRET_ACCESS_KEY": "secret", "ROPEWAY_TOKEN": "token"}
    machine.shop.environment.update({**shown, **hidden})  # type: ignore[attr-defined]
    await machine.until(await machine.submit(executor="claude", profile="frugal"))
    environment = cast["claude"].environment
    assert shown.items() <= environment.items()
    assert not hidden.keys() & environment.keys()
    await machine.until(await machine.submit(executor="claude"))
    assert "TEAM_PROXY" not in cast["claude"].environment


@pytest.mark.parametrize("subject", STREAMING, ids=str)
async def test_an_old_version_is_said_to_be_old(cast: Cast, subject: Subject) -> None:
    cast[subject.name].version("0.0.1")
    availability = await cast.registry.executor_get(subject.name).availability()
    assert availability.status is port.AvailabilityStatus.OUTDATED
    assert "0.0.1" in availability.reason


@pytest.mark.parametrize("name", ["codex", "claude"])
async def test_a_missing_login_is_a_doubt_that_is_asked_anew(cast: Cast, name: str) -> None:
    executor = cast.registry.executor_get(name)
    cast[name].login(is_there=False)
    found = await executor.availability()
    assert (found.status, found.version) == (port.AvailabilityStatus.AVAILABLE, "999.0.0")
    assert "no login found" in found.reason
    cast[name].login(is_there=True)
    assert (await executor.availability()).reason == ""


async def test_the_version_that_ran_is_on_the_attempt_and_signed(machine: Machine, cast: Cast) -> None:
    """Also where nobody had asked for it before."""
    cast["codex"].play(f"cat '{transcript('codex-success')}'")
    step = await machine.until(await machine.submit(executor="codex"))
    attempt, result = machine.attempt(step.step_id), machine.result(step.step_id)
    assert attempt.executor_version == "999.0.0"
    signed = next(artifact for artifact in result.artifacts if artifact.kind == "manifest")
    document = json.loads(machine.content(signed))
    assert document["executor_version"] == "999.0.0"
    assert document["thread_id"] == attempt.thread_id is not None
    assert document["usage"] == result.usage.model_dump(mode="json")
    assert document["versions"]["git"].startswith("git version ")


async def test_it_is_the_version_of_the_program_that_a_profile_names(tmp_path: Path, cast: Cast) -> None:
    own = player_install(tmp_path / "own", "codex-next")
    own.version("1000.1.0")
    profile = {"executor": "codex", "program": str(tmp_path / "own/codex-next")}
    given = daemon_settings.Settings.model_validate({"profiles": {"next": profile}})
    executors = registry.registry_build({"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}, given)
    repository = repository_make(tmp_path / "other")
    async with machine_start(tmp_path / "other-home", repository, executors=executors) as machine:
        for _ in range(2):  # Asked for, and remembered.
            step = await machine.until(await machine.submit(executor="codex", profile="next"))
            assert machine.attempt(step.step_id).executor_version == "1000.1.0"
