"""What an attempt writes into the `.git` it shares with the repository never makes the daemon's own git run it.

The executor here is a check: a shell line in the attempt's worktree, with the same rights as any executor (ADR 0007).
"""

import asyncio
import os
import shlex
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from local_daemon.protocol import ids, specs, states
from local_daemon.scheduler import conclusion
from local_daemon.steps import services as steps
from local_daemon.worktrees import worktree
from tests.integration.daemon.machine import PATCH, Machine, git, machine_start, repository_make


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return repository_make(tmp_path / "repository")


@pytest.fixture
async def machine(tmp_path: Path, repository: Path) -> AsyncIterator[Machine]:
    async with machine_start(tmp_path / "home", repository) as running:
        yield running


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


def evil(tmp_path: Path, canary: Path) -> str:
    """A program that leaves a trace and passes its input on."""
    program = tmp_path / "evil"
    program.write_text(f"#!/bin/sh\necho ran >> {shlex.quote(str(canary))}\ncat\n")
    program.chmod(0o755)
    return str(program)


async def attacked(machine: Machine, line: str, *, executor: str = "fake-success") -> specs.ResultSpec:
    """The result of a step whose check runs `line`."""
    step_id = await machine.submit(executor=executor, validations=[{"name": "attack", "command": line}])
    await machine.until(step_id)
    await machine.worktrees_gone()
    return machine.result(step_id)


ATTACKS = {
    "filter.x.clean": "git config filter.x.clean {evil}; echo '* filter=x' > .gitattributes; echo more >> file-0.txt",
    "filter.x.process": "git config filter.x.process {evil}; echo '* filter=x' > .gitattributes; echo m >> file-0.txt",
    "info/attributes": "git config filter.x.clean {evil}; mkdir -p {git}/info;"
    " echo '* filter=x' > {git}/info/attributes; echo more >> file-0.txt",
    "core.fsmonitor": "git config core.fsmonitor {evil}; echo more >> file-0.txt",
    "core.hookspath": "mkdir hooks; cp {evil} hooks/reference-transaction; git config core.hooksPath $PWD/hooks;"
    " echo more >> file-0.txt",
    "hooks/reference-transaction": "mkdir -p {git}/hooks; cp {evil} {git}/hooks/reference-transaction;"
    " echo more >> file-0.txt",
    "diff.external": "git config diff.external {evil}; echo more >> file-0.txt",
    "include.path": "printf '[filter \"x\"]\\n clean = {evil}\\n' > {git}/more; git config include.path more;"
    " echo '* filter=x' > .gitattributes; echo more >> file-0.txt",
    "alias.add": "git config alias.add '!{evil}'; echo more >> file-0.txt",
    "core.sshcommand": "git config core.sshCommand {evil}; git config remote.o.promisor true; echo more >> file-0.txt",
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_nothing_an_attempt_configures_is_run_by_the_daemon_and_a_person_is_asked(
    machine: Machine, tmp_path: Path, canary: Path, name: str
) -> None:
    program = evil(tmp_path, canary)
    result = await attacked(machine, ATTACKS[name].format(evil=program, git=machine.root / ".git"))
    assert not canary.exists()
    assert result.state is states.StepState.NEEDS_ATTENTION
    assert result.failure is not None
    assert result.failure.kind is states.FailureKind.POLICY
    assert name in result.failure.detail
    assert str(tmp_path) not in result.failure.detail
    assert git(machine.root, "show", f"{result.ref}:fake-success.txt") == "g\n"
    assert "m" in git(machine.root, "show", f"{result.ref}-leftover:file-0.txt")


async def test_the_attack_would_have_run_in_a_daemon_that_trusts_the_configuration(
    repository: Path, tmp_path: Path, canary: Path
) -> None:
    """Proves that the canary of these tests is alive."""
    git(repository, "config", "filter.x.clean", evil(tmp_path, canary))
    (repository / ".gitattributes").write_text("* filter=x\n")
    git(repository, "add", ".")
    assert canary.exists()


async def test_a_cancelled_step_that_changed_the_configuration_needs_attention_all_the_same(machine: Machine) -> None:
    step_id = await machine.submit(
        executor="fake-success",
        validations=[{"name": "attack", "command": "git config alias.x '!y'; touch done; sleep 600"}],
    )
    await machine.until(step_id, states.StepState.VALIDATING)
    async with asyncio.timeout(10):
        while not any(machine.shop.worktrees.glob("*/done")):
            await asyncio.to_thread(Path.exists, machine.root)
    await machine.cancel(step_id)
    assert (await machine.until(step_id)).state is states.StepState.NEEDS_ATTENTION


async def test_nothing_else_starts_in_the_repository_until_a_person_has_resolved_the_step(
    machine: Machine, tmp_path: Path, canary: Path
) -> None:
    result = await attacked(machine, f"git config filter.x.smudge {evil(tmp_path, canary)}")
    later = await machine.submit(executor="fake-success")
    machine.scheduler.wake()
    await machine.submit(executor="fake-success")
    assert machine.step(later).state is states.StepState.QUEUED
    git(machine.root, "config", "--remove-section", "filter.x")
    await machine.shop.database.write(
        "step_resolve",
        lambda tx: steps.step_resolve(tx, step_id=result.step_id, resolution="accept", comment="put right"),
    )
    assert (await machine.until(later)).state is states.StepState.COMPLETED
    assert machine.result(result.step_id).failure is None
    assert not canary.exists()


async def test_a_step_leased_before_another_came_to_need_attention_waits_its_turn_again(machine: Machine) -> None:
    """Its worktree is made when the other is over, so with nothing left that tells what was before."""
    making = worktree.worktree_create
    leased, over = asyncio.Event(), asyncio.Event()

    async def make_second_late(*arguments: Any, **options: Any) -> worktree.Worktree:
        if leased.is_set():
            return await making(*arguments, **options)
        leased.set()
        await over.wait()
        return await making(*arguments, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(worktree, "worktree_create", make_second_late)
        later = await machine.submit(executor="fake-success")
        await leased.wait()
        evil_id = await machine.submit(
            executor="fake-success", validations=[{"name": "attack", "command": "git config alias.x '!evil'"}]
        )
        assert (await machine.until(evil_id)).state is states.StepState.NEEDS_ATTENTION
        await machine.worktrees_gone(but=1)
        over.set()
        await machine.worktrees_gone()
    assert machine.step(later).state in (states.StepState.QUEUED, states.StepState.RETRY_WAIT)
    git(machine.root, "config", "--unset", "alias.x")
    await machine.shop.database.write(
        "step_resolve",
        lambda tx: steps.step_resolve(tx, step_id=evil_id, resolution="accept", comment="put right"),
    )
    assert (await machine.until(later)).state is states.StepState.COMPLETED


async def test_the_patch_executors_own_git_runs_nothing_that_was_configured_meanwhile(
    machine: Machine, tmp_path: Path, canary: Path
) -> None:
    """Between its worktree's making and its start another attempt may write; here its launcher's directory does."""
    (machine.root / ".gitattributes").write_text("* filter=x\n")
    git(machine.root, "add", ".gitattributes")
    git(machine.root, "commit", "--quiet", "--message", "attributes")
    making = worktree.worktree_create

    async def make_then_attack(*arguments: Any, **options: Any) -> worktree.Worktree:
        made = await making(*arguments, **options)
        for kind in ("clean", "smudge"):
            git(machine.root, "config", f"filter.x.{kind}", evil(tmp_path, canary))
        return made

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(worktree, "worktree_create", make_then_attack)
        step_id = await machine.submit(executor="patch", patch=PATCH)
        step = await machine.until(step_id)
    assert not canary.exists()
    assert step.state is states.StepState.NEEDS_ATTENTION
    assert [change.path for change in machine.result(step_id).changes] == ["file-0.txt"]


async def test_an_attempt_that_was_lost_is_compared_too(tmp_path: Path, repository: Path) -> None:
    concluding = asyncio.Event()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(conclusion, "attempt_conclude", never_returning(concluding))
        async with machine_start(tmp_path / "home", repository) as machine, asyncio.timeout(10):
            step_id = await machine.submit(executor="fake-success")
            await concluding.wait()
            git(repository, "config", "alias.x", "!evil")
            shutil.rmtree(machine.shop.worktree_path(machine.attempt(step_id).attempt_id))
            await machine.crash()
    async with machine_start(tmp_path / "home", repository) as machine:
        await expect_named(machine, step_id, "alias.x")


async def test_two_crashes_while_checks_are_run_again_lose_nothing_of_what_was_before(
    tmp_path: Path, repository: Path
) -> None:
    async with machine_start(tmp_path / "home", repository) as machine:
        step_id = await machine.submit(
            executor="fake-success",
            validations=[{"name": "attack", "command": "git config alias.x '!y'; touch done; sleep 600"}],
        )
        async with asyncio.timeout(10):
            while not any(machine.shop.worktrees.glob("*/done")):
                await asyncio.to_thread(Path.exists, machine.root)
        await machine.crash()
    renewed = asyncio.Event()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(worktree, "worktree_create", never_returning(renewed))
        async with machine_start(tmp_path / "home", repository) as machine, asyncio.timeout(10):
            await renewed.wait()
            await machine.crash()
    async with machine_start(tmp_path / "home", repository) as machine:
        await expect_named(machine, step_id, "alias.x")


def never_returning(begun: asyncio.Event) -> Callable[..., Awaitable[None]]:
    """Something that goes on until the daemon dies."""

    async def wait(*_: Any, **__: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    return wait


async def expect_named(machine: Machine, step_id: ids.StepId, name: str) -> None:
    """The step needs attention because of this setting, and nothing else has started in its repository."""
    later = await machine.submit(executor="fake-success")
    step = await machine.until(step_id)
    await machine.worktrees_gone()
    assert step.state is states.StepState.NEEDS_ATTENTION
    assert step.failure is not None
    assert name in step.failure.detail
    assert machine.step(later).state in (states.StepState.QUEUED, states.StepState.RETRY_WAIT, states.StepState.FAILED)


async def test_daily_work_with_branches_and_names_is_no_change_to_look_at(machine: Machine) -> None:
    result = await attacked(
        machine,
        "git config user.name Ada; git remote add fork ../fork; git switch -q -c topic;"
        " git config branch.topic.remote origin; git config branch.topic.merge refs/heads/topic",
    )
    assert result.state is states.StepState.COMPLETED


async def test_a_filter_of_the_repository_itself_works_as_ever(tmp_path: Path) -> None:
    """As LFS does: content is small and strange in the repository, and itself in a worktree."""
    repository = repository_make(tmp_path / "filtered")
    git(repository, "config", "filter.case.clean", "tr a-z A-Z")
    git(repository, "config", "filter.case.smudge", "tr A-Z a-z")
    git(repository, "config", "filter.case.required", "true")
    (repository / ".gitattributes").write_text("*.low filter=case\n")
    (repository / "a.low").write_text("words\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "filtered")
    assert git(repository, "show", "HEAD:a.low") == "WORDS\n"
    async with machine_start(tmp_path / "home", repository) as machine:
        step_id = await machine.submit(
            executor="fake-success",
            params={"files": {"b.low": "more\n"}},
            validations=[{"name": "smudged", "command": "grep -q words a.low"}],
        )
        await machine.until(step_id)
        result = machine.result(step_id)
        assert (result.state, result.failure) == (states.StepState.COMPLETED, None)
        assert [change.path for change in result.changes] == ["b.low"]
        assert git(repository, "show", f"{result.ref}:b.low") == "MORE\n"


async def test_a_filter_that_an_include_brings_in_works_and_its_file_is_watched(tmp_path: Path, canary: Path) -> None:
    repository = repository_make(tmp_path / "included")
    (repository / ".git" / "more").write_text('[filter "case"]\n\tclean = "tr a-z A-Z # \\"q\\" \\\\\\\\"\n')
    git(repository, "config", "include.path", "more")
    (repository / ".gitattributes").write_text("*.low filter=case\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "filtered")
    async with machine_start(tmp_path / "home", repository) as machine:
        step_id = await machine.submit(executor="fake-success", params={"files": {"b.low": "more\n"}})
        await machine.until(step_id)
        result = machine.result(step_id)
        assert (result.state, result.failure) == (states.StepState.COMPLETED, None)
        assert git(repository, "show", f"{result.ref}:b.low") == "MORE\n"
        program = evil(tmp_path, canary)
        tampered = await attacked(
            machine, f"git config --file {repository}/.git/more filter.case.clean {program}; echo x > c.low"
        )
        assert tampered.failure is not None
        assert "filter.case.clean" in tampered.failure.detail
        assert not canary.exists()


async def test_a_submodule_with_settings_of_an_executor_is_not_entered(tmp_path: Path, canary: Path) -> None:
    """`git add` alone would ask `git status` in there, with whatever filter or monitor its configuration names."""
    inner = repository_make(tmp_path / "inner")
    repository = repository_make(tmp_path / "outer")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub")
    git(repository, "rm", "--quiet", "--cached", ".gitmodules")
    (repository / ".gitmodules").unlink()
    git(repository, "commit", "--quiet", "--message", "a submodule")
    program = evil(tmp_path, canary)
    async with machine_start(tmp_path / "home", repository) as machine:
        await attacked(
            machine,
            f"git clone -q {inner} sub; git -C sub config filter.x.clean {program};"
            " echo '* filter=x' > sub/.gitattributes; echo more > sub/file-0.txt; touch sub/file-1.txt",
        )
    assert not canary.exists()
    assert os.path.exists(repository / "sub")
