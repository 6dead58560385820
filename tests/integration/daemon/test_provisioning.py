"""A step's worktree is prepared as `.ropeway/repository.toml` says, before its executor starts."""

import os
from pathlib import Path

import pytest

from local_daemon.processes import flood
from local_daemon.protocol import specs, states
from tests import pipes
from tests.integration.daemon.machine import git, machine_start, repository_make


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return repository_make(tmp_path / "repository")


def table_commit(repository: Path, text: str) -> None:
    (repository / ".ropeway").mkdir()
    (repository / ".ropeway/repository.toml").write_text(f"[worktree]\n{text}\n")
    (repository / ".gitignore").write_text(".env\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "table")


async def test_executor_and_checks_see_what_was_brought_and_made_and_no_log_or_patch_does(
    tmp_path: Path, repository: Path
) -> None:
    table_commit(repository, 'copy = [".env"]\nhook = "cp .env made.txt && mkdir -p deps && echo 1 > deps/one"')
    (repository / ".env").write_text("TOKEN=abcdefgh1234\n")
    async with machine_start(tmp_path / "home", repository) as machine:
        step_id = await machine.submit(
            executor="fake-success",
            validations=[{"name": "look", "command": "cat .env made.txt deps/one"}],
        )
        step = await machine.until(step_id)
        result = machine.result(step_id)
        assert (step.state, step.failure) == (states.StepState.COMPLETED, None)
        assert [change.path for change in result.changes] == ["fake-success.txt"]
        assert step.warnings == ()
        (check,) = result.validations
        printed = machine.shop.database.read(
            lambda conn: conn.execute(
                "SELECT sha256 FROM artifacts WHERE artifact_id = ?", (check.stdout_artifact_id,)
            ).fetchone()
        )
        assert machine.shop.blobs.blob_read(printed["sha256"]) == b"TOKEN=[redacted:TOKEN]\nTOKEN=[redacted:TOKEN]\n1\n"
        await machine.worktrees_gone()
    assert "leftover" not in git(repository, "for-each-ref", "--format=%(refname)", "refs/ropeway")


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ('hook = "echo no network in $PWD >&2; exit 3"', "the hook did not succeed (exit code 3): no network in ."),
        ('hook = "sleep 60"\nhook_timeout_s = 1', "not finished after 1 s"),
        ('hook = "echo more >> file-0.txt"', "the hook changed files of the commit: file-0.txt"),
        ('copy = ["../x"]', "../x: not a path below"),
    ],
)
async def test_a_worktree_that_can_not_be_prepared_fails_the_step_and_nothing_runs(
    tmp_path: Path, repository: Path, table: str, reason: str
) -> None:
    table_commit(repository, table)
    async with machine_start(tmp_path / "home", repository) as machine:
        step = await machine.until(await machine.submit(executor="fake-success"))
        assert step.state is states.StepState.FAILED
        assert step.failure is not None
        assert step.failure.kind is states.FailureKind.WORKSPACE
        assert reason in step.failure.detail
        assert str(tmp_path) not in step.failure.detail
        await machine.worktrees_gone()
        assert not (tmp_path / "home/starts").exists()
        assert list(machine.shop.worktrees.iterdir()) == []


async def test_a_hook_that_prints_without_end_is_ended_and_fails_the_step(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flood, "OUTPUT_BYTES_MAX", 1_000_000)
    monkeypatch.setattr(flood, "_SOONEST_S", 0.01)
    table_commit(repository, 'hook = "echo again and again >&2; head -c 2000000 /dev/zero; exec sleep 600"')
    async with machine_start(tmp_path / "home", repository) as machine:
        step = await machine.until(await machine.submit(executor="fake-success"))
        why = "the hook did not succeed (ended: it printed more than 1000000 bytes): again and again"
        assert step.failure == specs.Failure(kind=states.FailureKind.WORKSPACE, detail=why)
        await machine.worktrees_gone()
        assert list(machine.shop.worktrees.iterdir()) == []


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        ("echo TOKEN=abcdefgh1234 > .env; echo no abcdefgh1234 >&2; exit 1", "no [redacted:TOKEN made]"),
        (
            "mkdir made; echo TOKEN=abcdefgh1234 > made/.env; echo no abcdefgh1234 >&2; exit 1",
            "no [redacted:TOKEN made]",
        ),
        ("rm .git; echo TOKEN=abcdefgh1234 > .env; echo no abcdefgh1234 >&2; exit 1", "no [redacted:TOKEN made]"),
        # A secret stands where the head of a long complaint ends, or where its tail begins.
        ("printf %1495s >&2; cat key >&2; printf %9999s >&2; exit 1", "[reda"),
        ("printf %9999s >&2; cat key >&2; printf %496s >&2; exit 1", "KEY]"),
        # What stands in the place of its output has no end.
        pytest.param(
            "exec 3>&2; out=$(readlink /proc/$$/fd/3); rm $out; mkfifo $out; exit 1",
            "",
            marks=pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="a hook finds its output there"),
        ),
    ],
)
async def test_what_a_failed_hook_complained_of_names_no_secret(
    tmp_path: Path, repository: Path, hook: str, said: str
) -> None:
    table_commit(repository, f'copy = ["key.env", "key"]\nhook = "{hook}"')
    (repository / "key.env").write_text("KEY=zyxwvuts9876\n")
    (repository / "key").write_text("zyxwvuts9876")
    async with machine_start(tmp_path / "home", repository) as machine:
        step = await machine.until(await machine.submit(executor="fake-success"))
        assert step.failure is not None
        detail = step.failure.detail
        assert detail.startswith("the hook did not succeed (exit code 1)")
        assert detail.replace("TOKEN 2", "TOKEN").count(said) == 1 if said else detail.endswith(")")
        for secret in ("abcdefgh1234", "zyxwvuts9876"):
            assert not any(secret[i : i + 5] in detail for i in range(len(secret) - 4))
        await machine.worktrees_gone()


async def test_what_an_executor_wrote_into_the_repositorys_file_prepares_no_later_worktree(
    tmp_path: Path, repository: Path
) -> None:
    table_commit(repository, 'hook = "echo 1 > made.txt"')
    mischief = {".ropeway/repository.toml": "[worktree]\nhook = 'touch ../../mischief; exit 3'\n"}
    async with machine_start(tmp_path / "home", repository) as machine:
        first = await machine.submit(executor="fake-success", params={"files": mischief})
        assert (await machine.until(first)).state is states.StepState.WAITING
        second = await machine.submit(executor="fake-success", base=machine.attempt(first).head_commit)
        step = await machine.until(second)
        assert (step.state, step.failure) == (states.StepState.COMPLETED, None)
        await machine.worktrees_gone()
    assert not list(tmp_path.rglob("mischief"))


async def test_checks_that_are_run_again_after_a_crash_find_what_was_brought_and_made(
    tmp_path: Path, repository: Path
) -> None:
    table_commit(repository, 'copy = [".env"]\nhook = "echo 1 > made.txt"')
    (repository / ".env").write_text("TOKEN=abcdefgh1234\n")
    again = tmp_path / "again"
    check = {"name": "look", "command": f"[ -e {again} ] || exec sleep 60; cat .env made.txt fake-success.txt"}
    async with machine_start(tmp_path / "home", repository) as machine:
        step_id = await machine.submit(executor="fake-success", validations=[check])
        await machine.until(step_id, states.StepState.VALIDATING)
        await machine.crash()
    again.touch()
    async with machine_start(tmp_path / "home", repository) as machine:
        step = await machine.until(step_id)
        assert (step.state, step.failure) == (states.StepState.COMPLETED, None)
        (validation,) = machine.result(step_id).validations
        printed = machine.shop.database.read(
            lambda conn: conn.execute(
                "SELECT sha256 FROM artifacts WHERE artifact_id = ?", (validation.stdout_artifact_id,)
            ).fetchone()
        )
        assert machine.shop.blobs.blob_read(printed["sha256"]).startswith(b"TOKEN=[redacted:TOKEN]\n1\n")
        await machine.worktrees_gone()
        assert list(machine.shop.worktrees.iterdir()) == []


async def test_the_secrets_of_an_environment_file_that_the_hook_made_are_in_no_log(
    tmp_path: Path, repository: Path
) -> None:
    hook = "mkdir -p made; echo TOKEN=abcdefgh1234 > .env; echo TOKEN=ijklmnop5678 > made/.env"
    table_commit(repository, f'hook = "{hook}"')
    look = {"name": "look", "command": "cat .env made/.env"}
    async with machine_start(tmp_path / "home", repository) as machine:
        step_id = await machine.submit(executor="fake-success", validations=[look])
        assert (await machine.until(step_id)).state is states.StepState.COMPLETED
        (validation,) = machine.result(step_id).validations
        printed = machine.shop.database.read(
            lambda conn: conn.execute(
                "SELECT sha256 FROM artifacts WHERE artifact_id = ?", (validation.stdout_artifact_id,)
            ).fetchone()
        )
        shown = machine.shop.blobs.blob_read(printed["sha256"])
        assert shown == b"TOKEN=[redacted:TOKEN made]\nTOKEN=[redacted:TOKEN 2 made]\n"
        await machine.worktrees_gone()


async def test_each_secret_that_the_hook_made_anew_after_crashes_is_in_no_log(tmp_path: Path, repository: Path) -> None:
    lives, reached = tmp_path / "lives", tmp_path / "reached"
    os.mkfifo(reached)
    made = f"echo >> {lives}; echo TOKEN=abcdefgh000$(wc -l < {lives}) > .env"
    table_commit(repository, f'hook = "{made}"')
    all_made = "".join(f"; echo abcdefgh000{number}" for number in (1, 2, 3))
    stays = f"[ $(wc -l < {lives}) = 3 ] || {{ echo > {reached}; exec sleep 60; }}"
    async with machine_start(tmp_path / "home", repository) as machine:
        check = {"name": "look", "command": f"{stays}; cat .env{all_made}"}
        step_id = await machine.submit(executor="fake-success", validations=[check])
        await pipes.pipe_read(reached)
        await machine.crash()
    async with machine_start(tmp_path / "home", repository) as machine:
        await pipes.pipe_read(reached)
        await machine.crash()
    async with machine_start(tmp_path / "home", repository) as machine:
        assert (await machine.until(step_id)).state is states.StepState.COMPLETED
        (printed,) = [item for item in machine.result(step_id).artifacts if item.name == "look.stdout"]
        shown = ["[redacted:TOKEN made]", "[redacted:TOKEN made 2]", "[redacted:TOKEN made 3]"]
        assert machine.content(printed).decode().splitlines() == [f"TOKEN={shown[-1]}", *shown]
        await machine.worktrees_gone()


async def test_a_hook_that_fails_after_a_crash_shows_no_secret_that_it_made_anew(
    tmp_path: Path, repository: Path
) -> None:
    again, reached = tmp_path / "again", tmp_path / "reached"
    os.mkfifo(reached)
    anew = f"[ ! -e {again} ] || {{ echo TOKEN=ijklmnop5678 > .env; echo no ijklmnop5678 >&2; exit 1; }}"
    table_commit(repository, f'hook = "echo TOKEN=abcdefgh1234 > .env; {anew}"')
    check = {"name": "look", "command": f"echo > {reached}; exec sleep 60"}
    async with machine_start(tmp_path / "home", repository) as machine:
        step_id = await machine.submit(executor="fake-success", validations=[check])
        await pipes.pipe_read(reached)
        await machine.crash()
    again.touch()
    async with machine_start(tmp_path / "home", repository) as machine:
        step = await machine.until(step_id)
        assert step.failure is not None
        said = "the hook did not succeed (exit code 1): no [redacted:TOKEN made 2]"
        assert (step.state, step.failure.detail) == (states.StepState.NEEDS_ATTENTION, said)


async def test_a_submodule_that_nobody_initialised_is_told_with_the_result(tmp_path: Path, repository: Path) -> None:
    library = repository_make(tmp_path / "library", files=1)
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    git(repository, "commit", "--quiet", "--message", "with a submodule")
    async with machine_start(tmp_path / "home", repository) as machine:
        step = await machine.until(await machine.submit(executor="fake-success"))
        assert step.state is states.StepState.COMPLETED
        (warning,) = step.warnings
        assert "lib" in warning
        assert "git submodule update --init" in warning
        await machine.worktrees_gone()


async def test_a_secret_that_was_brought_and_stands_in_the_patch_waits_for_a_person_and_is_not_repeated(
    tmp_path: Path, repository: Path
) -> None:
    table_commit(repository, 'copy = [".env"]')
    (repository / ".env").write_text("TOKEN=abcdefgh1234\n")
    async with machine_start(tmp_path / "home", repository) as machine:
        step = await machine.until(
            await machine.submit(executor="fake-success", params={"files": {"leak.txt": "it is abcdefgh1234"}})
        )
        assert step.state is states.StepState.WAITING
        gate = machine.shop.database.read(
            lambda conn: conn.execute("SELECT reason FROM gates WHERE gate_id = ?", (step.gate_id,)).fetchone()
        )
        assert "the value of TOKEN" in gate["reason"]
        assert "abcdefgh1234" not in gate["reason"]
