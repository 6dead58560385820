"""One step through worktree, executor, checks and verdict, on real git and real processes."""

import asyncio
import hashlib
import json
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local_daemon.attempts import selectors as attempt_selectors
from local_daemon.processes import flood
from local_daemon.protocol import ids, specs, states
from local_daemon.runs import services as runs
from local_daemon.scheduler import leftovers
from local_daemon.steps import services as steps
from tests.integration.daemon.machine import SETTLES_WITHIN_S, Machine, git, machine_start, repository_make

PATCH = """\
diff --git a/file-0.txt b/file-0.txt
--- a/file-0.txt
+++ b/file-0.txt
@@ -1 +1 @@
-line 0
+another line
diff --git a/new/deep.txt b/new/deep.txt
new file mode 100644
--- /dev/null
+++ b/new/deep.txt
@@ -0,0 +1 @@
+hello
"""


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with machine_start(tmp_path / "home", repository_make(tmp_path / "repository")) as running:
        yield running


def starts(machine: Machine) -> list[str]:
    path = machine.shop.worktrees.parent / "starts"
    return path.read_text().split() if path.exists() else []


async def test_a_patch_is_applied_recorded_and_kept_outside_the_users_branches(machine: Machine) -> None:
    head = git(machine.root, "rev-parse", "HEAD").strip()
    step = await machine.until(await machine.submit(executor="patch", patch=PATCH))
    result = machine.result(step.step_id)
    assert (result.state, result.failure) == (states.StepState.COMPLETED, None)
    assert {(change.status, change.path) for change in result.changes} == {("M", "file-0.txt"), ("A", "new/deep.txt")}
    assert git(machine.root, "show", f"{result.ref}:new/deep.txt") == "hello\n"
    assert git(machine.root, "rev-parse", "HEAD").strip() == result.base_commit == head
    assert git(machine.root, "branch", "--list").split() == ["*", "main"]


async def test_the_patch_artifact_turns_the_base_into_the_head(machine: Machine) -> None:
    step = await machine.until(await machine.submit(executor="patch", patch=PATCH))
    result = machine.result(step.step_id)
    patch = machine.root / "evidence.patch"
    patch.write_bytes(machine.content(result.patch))
    git(machine.root, "apply", "--index", patch.name)
    assert git(machine.root, "write-tree") == git(machine.root, "rev-parse", f"{result.head_commit}^{{tree}}")


async def test_nothing_is_left_of_an_attempt_but_its_record(machine: Machine) -> None:
    await machine.until(await machine.submit(executor="patch", patch=PATCH))
    await machine.worktrees_gone()
    assert list(machine.shop.worktrees.iterdir()) == []
    assert list(machine.shop.scratch.iterdir()) == []
    assert len(git(machine.root, "worktree", "list").splitlines()) == 1


async def test_checks_see_the_changes_and_every_verdict_is_kept(machine: Machine) -> None:
    step = await machine.until(
        await machine.submit(
            executor="patch",
            patch=PATCH,
            validations=[
                {"name": "there", "command": "cat new/deep.txt"},
                {"name": "missing", "command": "test -e nowhere"},
                {"name": "slow", "command": "sleep 60", "timeout_s": 1},
            ],
        )
    )
    result = machine.result(step.step_id)
    assert [(check.name, check.verdict.value) for check in result.validations] == [
        ("there", "passed"), ("missing", "failed"), ("slow", "timeout"),
    ]  # fmt: skip
    assert result.failure is not None
    assert result.failure.kind is states.FailureKind.VALIDATION
    output = next(artifact for artifact in result.artifacts if artifact.name == "there.stdout")
    assert machine.content(output) == b"hello\n"


async def test_a_failed_step_keeps_its_edits(machine: Machine) -> None:
    step = await machine.until(await machine.submit(executor="fake-failure", params={"files": {"half.txt": "done"}}))
    result = machine.result(step.step_id)
    assert result.failure is not None
    assert result.failure.kind is states.FailureKind.EXECUTOR
    assert git(machine.root, "show", f"{result.ref}:half.txt") == "done"


async def test_a_cancelled_step_ends_cancelled_and_keeps_its_edits(machine: Machine) -> None:
    step_id = await machine.submit(executor="fake-timeout", params={"files": {"half.txt": "done"}})
    await machine.until(step_id, states.StepState.RUNNING)
    async with asyncio.timeout(SETTLES_WITHIN_S):
        while not any(each.read_text() == "done" for each in machine.shop.worktrees.glob("*/half.txt")):
            await asyncio.to_thread(Path.exists, machine.root)
    await machine.cancel(step_id)
    step = await machine.until(step_id)
    result = machine.result(step_id)
    assert step.state is states.StepState.CANCELLED
    assert git(machine.root, "show", f"{result.ref}:half.txt") == "done"
    assert machine.evidence_is_signed(step_id)


async def test_a_patch_that_does_not_apply_fails_with_gits_reason(machine: Machine) -> None:
    step = await machine.until(await machine.submit(executor="patch", patch=PATCH.replace("-line 0", "-other")))
    failure = machine.result(step.step_id).failure
    assert failure is not None
    assert "does not apply" in failure.detail


async def test_a_change_outside_the_fence_fails_by_policy(machine: Machine) -> None:
    step = await machine.until(await machine.submit(executor="patch", patch=PATCH, forbidden_paths=["new/**"]))
    failure = machine.result(step.step_id).failure
    assert failure is not None
    assert failure.kind is states.FailureKind.POLICY


async def test_an_unknown_base_fails_before_anything_runs(machine: Machine) -> None:
    step = await machine.until(await machine.submit(executor="fake-success", base="nowhere"))
    assert step.failure is not None
    assert step.failure.kind is states.FailureKind.WORKSPACE
    assert starts(machine) == []


async def test_a_retry_rule_starts_another_attempt_with_the_same_executor(machine: Machine) -> None:
    step = await machine.until(
        await machine.submit(executor="fake-failure", retry={"max_attempts": 3, "on": ["executor"]})
    )
    assert (step.state, step.attempts) == (states.StepState.FAILED, 3)
    assert len(starts(machine)) == 3


def tried_by(machine: Machine, step_id: ids.StepId) -> list[tuple[str, states.FailureKind | None]]:
    """Who made each attempt, and what it failed with."""
    found = machine.shop.database.read(lambda conn: attempt_selectors.attempts_list(conn, step_id))
    return [(each.executor, None if each.failure is None else each.failure.kind) for each in found]


async def test_a_retry_is_made_by_the_executor_that_the_task_names_for_it_and_the_record_says_so(
    machine: Machine,
) -> None:
    step = await machine.until(
        await machine.submit(
            executor="fake-failure",
            params={"files": {"a.txt": "from the first"}},
            retry={"max_attempts": 3, "on": ["executor"], "fallback": [{"executor": "fake-success"}]},
        )
    )
    assert step.state is states.StepState.COMPLETED
    assert tried_by(machine, step.step_id) == [("fake-failure", states.FailureKind.EXECUTOR), ("fake-success", None)]
    assert machine.result(step.step_id).executor == "fake-success"
    # The params were the first executor's.
    assert [change.path for change in machine.result(step.step_id).changes] == ["fake-success.txt"]


async def test_the_last_fallback_stays_and_a_person_who_retries_begins_with_the_first_executor_again(
    machine: Machine,
) -> None:
    step = await machine.until(
        await machine.submit(
            executor="fake-failure",
            retry={"max_attempts": 3, "on": ["executor"], "fallback": [{"executor": "fake-timeout"}]},
            timeout_s=1,
        )
    )
    assert [executor for executor, _ in tried_by(machine, step.step_id)] == ["fake-failure", "fake-timeout"]
    await machine.shop.database.write(
        "step_retry",
        lambda tx: (
            steps.step_retry(tx, step_id=step.step_id),
            runs.run_reopen(tx, run_id=step.run_id),
        ),
    )
    assert machine.step(step.step_id).executor == "fake-failure"
    await machine.until(step.step_id)
    assert [executor for executor, _ in tried_by(machine, step.step_id)][2] == "fake-failure"


async def test_a_question_waits_and_its_answer_reaches_the_next_attempt(machine: Machine) -> None:
    step = await machine.until(await machine.submit(executor="fake-blocker", params={"questions": ["Tabs?"]}))
    assert step.state is states.StepState.WAITING
    assert machine.result(step.step_id).question == "Tabs?"


async def test_an_after_gate_binds_the_patchs_digest(machine: Machine) -> None:
    step = await machine.until(await machine.submit(executor="patch", patch=PATCH, gates={"after": "always"}))
    result = machine.result(step.step_id)
    assert step.state is states.StepState.WAITING
    assert result.patch is not None
    assert hashlib.sha256(machine.content(result.patch)).hexdigest() == result.patch.sha256 == step.patch_sha256


async def test_evidence_names_every_artifact_by_digest(machine: Machine) -> None:
    step = await machine.until(await machine.submit(executor="patch", patch=PATCH))
    result = machine.result(step.step_id)
    manifest = next(artifact for artifact in result.artifacts if artifact.kind == "manifest")
    document = json.loads(machine.content(manifest))
    assert result.evidence is not None
    assert result.evidence.digest == manifest.sha256
    assert {entry["sha256"] for entry in document["artifacts"]} == {
        artifact.sha256 for artifact in result.artifacts if artifact.kind != "manifest"
    }


async def test_logs_leave_without_the_machines_paths(machine: Machine) -> None:
    step = await machine.until(
        await machine.submit(executor="patch", patch=PATCH, validations=[{"name": "where", "command": "pwd"}])
    )
    output = next(item for item in machine.result(step.step_id).artifacts if item.name == "where.stdout")
    assert machine.content(output) == b".\n"


async def test_a_hundred_concurrent_steps_are_each_executed_once(machine: Machine) -> None:
    submitted = await asyncio.gather(
        *(machine.submit(executor="fake-success", params={"files": {f"n-{n}.txt": "x"}}) for n in range(100))
    )
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(machine.until(step_id)) for step_id in submitted]
    assert {task.result().state for task in waiting} == {states.StepState.COMPLETED}
    assert len(starts(machine)) == 100


async def test_a_cancel_ends_a_check_that_is_running(machine: Machine) -> None:
    step_id = await machine.submit(
        executor="fake-success", validations=[{"name": "endless", "command": "sleep 600", "timeout_s": 600}]
    )
    await machine.until(step_id, states.StepState.VALIDATING)
    await machine.cancel(step_id)
    assert (await machine.until(step_id)).state is states.StepState.CANCELLED


def link_patch(target: str, *, path: str = "link") -> str:
    """A patch that makes a symbolic link."""
    return (
        f"diff --git a/{path} b/{path}\nnew file mode 120000\n--- /dev/null\n+++ b/{path}\n"
        f"@@ -0,0 +1 @@\n+{target}\n\\ No newline at end of file\n"
    )


@pytest.mark.parametrize("target", ["/etc", "../../elsewhere", ".git/hooks"])
async def test_a_link_that_leads_out_waits_for_a_person(machine: Machine, target: str) -> None:
    step = await machine.until(await machine.submit(executor="patch", patch=PATCH + link_patch(target)))
    assert step.state is states.StepState.WAITING
    result = machine.result(step.step_id)
    assert result.patch is not None
    assert result.patch.sha256 == step.patch_sha256


async def test_a_link_within_the_tree_is_an_ordinary_change(machine: Machine) -> None:
    step = await machine.until(await machine.submit(executor="patch", patch=link_patch("file-0.txt")))
    assert step.state is states.StepState.COMPLETED


@pytest.mark.parametrize(
    "patch",
    [
        PATCH.replace("new/deep.txt", ".git/hooks/post-commit"),
        PATCH.replace("-line 0", "-other").replace("new/deep.txt", ".git/config"),
        PATCH.replace("new/deep.txt", ".GIT/x"),
        PATCH.replace("new/deep.txt", "../x"),
    ],
)
async def test_a_patch_that_writes_into_git_or_outside_fails_by_policy(machine: Machine, patch: str) -> None:
    step = await machine.until(await machine.submit(executor="patch", patch=patch))
    assert step.failure is not None
    assert step.failure.kind is states.FailureKind.POLICY


async def test_a_patch_that_writes_through_its_own_link_fails_by_policy_and_writes_nothing(
    machine: Machine, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    through = PATCH.replace("new/deep.txt", "link/deep.txt")
    step = await machine.until(await machine.submit(executor="patch", patch=link_patch(str(outside)) + through))
    assert step.failure is not None
    assert step.failure.kind is states.FailureKind.POLICY
    assert list(outside.iterdir()) == []


async def test_only_a_submodules_commit_changed_fails_and_says_which(tmp_path: Path) -> None:
    """A patch that moves the pointer: git takes it, the folder stays empty, and there would be nothing to show."""
    library = repository_make(tmp_path / "library")
    repository = repository_make(tmp_path / "repository")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    git(repository, "commit", "--quiet", "--message", "with a submodule")
    commit = git(library, "rev-parse", "HEAD").strip()
    pointer = f"diff --git a/lib b/lib\nindex {commit[:7]}..1111111 160000\n--- a/lib\n+++ b/lib\n@@ -1 +1 @@\n"
    pointer += f"-Subproject commit {commit}\n+Subproject commit {'1' * 40}\n"
    async with machine_start(tmp_path / "home", repository) as machine:
        step = await machine.until(await machine.submit(executor="patch", patch=pointer))
        assert step.state is states.StepState.FAILED
        assert step.failure is not None
        assert "submodule" in step.failure.detail


async def test_files_put_into_a_submodules_empty_folder_fail_the_step_and_stay_in_its_worktree(tmp_path: Path) -> None:
    """To git they are nobody's: neither the repository's, nor of a submodule that isn't there."""
    library = repository_make(tmp_path / "library")
    repository = repository_make(tmp_path / "repository")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    git(repository, "commit", "--quiet", "--message", "with a submodule")
    async with machine_start(tmp_path / "home", repository) as machine:
        step = await machine.until(await machine.submit(executor="fake-success", params={"files": {"lib/new": "x"}}))
        await machine.worktrees_gone()
        assert step.failure is not None
        assert (step.failure.kind, "lib" in step.failure.detail) == (states.FailureKind.ARTIFACT, True)
        await leftovers.worktrees_sweep(machine.shop)
        assert [path.read_text() for path in machine.shop.worktrees.glob("*/lib/new")] == ["x"]


async def test_ignored_files_an_attempt_left_are_kept_on_the_machine_only(machine: Machine) -> None:
    (machine.root / ".gitignore").write_text("*.log\n")
    git(machine.root, "add", ".")
    git(machine.root, "commit", "--quiet", "--message", "ignore logs")
    step = await machine.until(await machine.submit(executor="fake-success", params={"files": {"a.log": "kept"}}))
    result = machine.result(step.step_id)
    assert "1 ignored file was changed and is not in the patch: a.log" in result.warnings
    assert result.attempt_id is not None
    with tarfile.open(machine.shop.ignored_path(result.attempt_id)) as archive:
        assert archive.getnames() == ["a.log"]
    assert "a.log" not in {artifact.name for artifact in result.artifacts}


async def test_logs_name_neither_the_repository_nor_the_daemons_home(machine: Machine) -> None:
    command = f"echo {machine.root}/file-0.txt {machine.shop.home}/token"
    step = await machine.until(
        await machine.submit(executor="patch", patch=PATCH, validations=[{"name": "where", "command": command}])
    )
    output = next(item for item in machine.result(step.step_id).artifacts if item.name == "where.stdout")
    assert machine.content(output) == b"[repository]/file-0.txt [daemon]/token\n"


async def test_of_a_check_that_talks_too_much_head_and_tail_are_kept(machine: Machine) -> None:
    command = "echo first; head -c 20000000 /dev/zero | tr '\\0' x; echo; echo last"
    step = await machine.until(
        await machine.submit(executor="patch", patch=PATCH, validations=[{"name": "loud", "command": command}])
    )
    output = next(item for item in machine.result(step.step_id).artifacts if item.name == "loud.stdout")
    content = machine.content(output)
    assert len(content) < 9_000_000
    assert content.startswith(b"first\n")
    assert content.endswith(b"\nlast\n")
    assert b"of 20000012 bytes left out here]" in content


async def test_a_check_that_prints_without_end_is_ended_and_the_verdict_says_why(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flood, "OUTPUT_BYTES_MAX", 1_000_000)
    monkeypatch.setattr(flood, "_SOONEST_S", 0.01)
    loud = {"name": "loud", "command": "echo first; head -c 2000000 /dev/zero; echo last; exec sleep 600"}
    after = {"name": "after", "command": "echo still asked"}
    step = await machine.until(await machine.submit(executor="patch", patch=PATCH, validations=[loud, after]))
    why = "1 of 2 validations did not pass: loud errored (ended: it printed more than 1000000 bytes)"
    assert step.failure == specs.Failure(kind=states.FailureKind.VALIDATION, detail=why)
    result = machine.result(step.step_id)
    assert [(check.name, check.verdict.value, check.exit_code) for check in result.validations] == [
        ("loud", "errored", None),
        ("after", "passed", 0),
    ]
    printed = machine.content(next(item for item in result.artifacts if item.name == "loud.stdout"))
    assert printed.startswith(b"first\n")
    assert len(printed) > 1_000_000


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="a check finds its output there")
@pytest.mark.parametrize(
    "mischief",
    [
        "rm $out; mkfifo $out", "rm $out; mkdir -p $out/in; chmod 0 $out", "rm $out; ln -s . $out",
        "rm $out; ln -s $out $out", "rm -r $dir", "rm -r $dir; touch $dir", "rm -r $dir; ln -s . $dir",
        "rm -r $dir; ln -s gone $dir", "rm -r ${dir%/*}",
        "rm -r ${dir%/*}; touch ${dir%/*}", "rm -r ${dir%/*}; ln -s gone ${dir%/*}",
    ],
)  # fmt: skip
async def test_a_check_that_takes_its_output_away_holds_up_nobody(machine: Machine, mischief: str) -> None:
    command = f"exec 3>&1; out=$(readlink /proc/$$/fd/3); dir=${{out%/*}}; {mischief}; exit 0"
    checks = [{"name": "sly", "command": command}, {"name": "next", "command": "echo still asked"}]
    step = await machine.until(await machine.submit(executor="patch", patch=PATCH, validations=checks))
    assert (step.state, step.failure) == (states.StepState.COMPLETED, None)
    printed = [item for item in machine.result(step.step_id).artifacts if item.kind == "validation_stdout"]
    assert [(item.name, machine.content(item)) for item in printed] == [("next.stdout", b"still asked\n")]
    await machine.worktrees_gone()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="a check finds its output there")
@pytest.mark.parametrize("mischief", ["rm $out; mkfifo $out", "rm $out", "rm -r $dir; touch $dir"])
async def test_a_check_of_which_nobody_can_read_what_it_printed_is_told_of(machine: Machine, mischief: str) -> None:
    command = f"echo said; out=$(readlink /proc/$$/fd/1); dir=${{out%/*}}; {mischief}"
    checks = [{"name": "sly", "command": command}, {"name": "silent", "command": "true"}]
    step = await machine.until(await machine.submit(executor="patch", patch=PATCH, validations=checks))
    assert step.state is states.StepState.COMPLETED
    assert "what the check sly printed to stdout is not kept" in step.warnings[0]
    assert not any("silent" in warning for warning in step.warnings)
    await machine.worktrees_gone()
