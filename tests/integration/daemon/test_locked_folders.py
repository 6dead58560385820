"""What an attempt locks up of the daemon's own: a daemon that is not root goes on, and takes it away afterwards."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

OUTPUT = "out=$(readlink /proc/$$/fd/1); dir=$(dirname $out)"
WORK = """
import asyncio, json, os, pathlib, sys

from tests.integration.daemon.machine import git, machine_start, repository_make, shell_running

async def work(root, line, checks, crashes):
    home, repository = root / "home", repository_make(root / "repository")
    (repository / "docs").mkdir()
    (repository / "docs/guide.txt").write_text("begin")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "guide")
    os.mkfifo(root / "done")
    executors = shell_running(line.replace("TELL", f": > {root / 'done'}; exec sleep 600"))
    validations = [{"name": f"check-{number}", "command": each} for number, each in enumerate(checks)]
    async with machine_start(home, repository, executors=executors) as machine:
        step_id = await machine.submit(executor="shell", validations=validations)
        if crashes:
            await asyncio.to_thread((root / "done").read_bytes)
            await machine.crash()
        else:
            told = await tell(machine, step_id)
    if crashes:
        async with machine_start(home, repository, executors=executors) as machine:
            told = await tell(machine, step_id)
    print(json.dumps(told))

async def tell(machine, step_id):
    step = await machine.until(step_id)
    result = machine.result(step_id)
    await machine.worktrees_gone()
    return {
        "state": step.state,
        "changes": [change.path for change in result.changes],
        "kept": [item.name for item in result.artifacts if item.name not in ("changes.patch", "evidence.json")],
        "left": [path.name for each in (machine.shop.worktrees, machine.shop.scratch) for path in each.iterdir()],
    }

asyncio.run(work(pathlib.Path(sys.argv[1]), *json.loads(sys.argv[2])))
"""

pytestmark = [
    pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root reads everywhere"),
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="a program finds its output there"),
]


def worked(tmp_path: Path, line: str, checks: tuple[str, ...] = (), *, crashes: bool = False) -> dict[str, Any]:
    """What came of a step whose executor runs this line, by a daemon that is held to what permissions say; also by the
    next one, after the first was gone while the executor worked."""
    held = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    asked = json.dumps([line, checks, crashes])
    done = subprocess.run([*held, sys.executable, "-c", WORK, str(tmp_path), asked], check=True, stdout=subprocess.PIPE)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize(
    "locks",
    [
        "chmod 0 $dir", "chmod 555 $dir", "chmod 0 $out", "chmod 0 $dir/secrets", 'chmod 0 "$PWD.git"',
        'echo [] > "$PWD.git/special-files.json"; chmod 0 "$PWD.git/special-files.json"', "chmod 0 .",
        "chmod 0 $(git rev-parse --git-dir)",
    ],
)  # fmt: skip
def test_what_an_executor_locks_up_of_ours_takes_nothing_from_its_result(tmp_path: Path, locks: str) -> None:
    assert worked(tmp_path, f"echo said; echo e > edit; {OUTPUT}; {locks}") == {
        "state": "completed", "changes": ["edit"], "kept": ["stdout.log"], "left": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("mkdir -p new/in; echo n > new/in/n; chmod 0 new/in new", ["new/in/n"]),
        ("echo changed > docs/guide.txt; chmod 0 docs", ["docs/guide.txt"]),
        ("echo changed > docs/guide.txt; chmod 444 docs", ["docs/guide.txt"]),
        ("echo changed > docs/guide.txt; chmod 0 docs/guide.txt", ["docs/guide.txt"]),
    ],
)
def test_what_an_executor_locks_up_of_its_own_edits_is_recorded(tmp_path: Path, line: str, changed: list[str]) -> None:
    assert worked(tmp_path, line) == {"state": "completed", "changes": changed, "kept": [], "left": []}


@pytest.mark.parametrize(
    "locks",
    ["chmod 0 $out", "chmod 0 $dir", "chmod 555 $(dirname $dir)", "chmod 0 $(dirname $dir)", 'chmod 0 "$PWD.git"'],
)
def test_a_check_that_locks_something_up_is_judged_as_any_other_and_leaves_nothing(tmp_path: Path, locks: str) -> None:
    checks = (f"echo said; {OUTPUT}; {locks}", "echo seen")
    assert worked(tmp_path, "echo e > edit", checks) == {
        "state": "completed", "changes": ["edit"], "kept": ["check-0.stdout", "check-1.stdout"], "left": [],
    }  # fmt: skip


@pytest.mark.parametrize("locks", ["chmod 0 $dir", 'chmod 0 "$PWD.git"'])
def test_the_next_daemon_reads_what_an_executor_locked_up_that_outlived_the_last(tmp_path: Path, locks: str) -> None:
    line = f"echo said; echo e > edit; {OUTPUT}; {locks}; TELL"
    assert worked(tmp_path, line, crashes=True) == {
        "state": "failed", "changes": ["edit"], "kept": ["stdout.log"], "left": [],
    }  # fmt: skip


def test_a_link_is_not_followed_to_what_is_locked_up_elsewhere(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.touch(mode=0o400)
    assert worked(tmp_path, f"echo e > edit; {OUTPUT}; ln -s {locked} $dir/link")["state"] == "completed"
    assert locked.stat().st_mode & 0o777 == 0o400
