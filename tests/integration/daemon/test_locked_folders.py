"""What an attempt locks up in its own folders: a daemon that is not root goes on, and takes it away afterwards."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LOCKS = 'folder=$(dirname "$(readlink /proc/$$/fd/1)"); echo said; chmod 0 "$folder"'
WORK = f"""
import asyncio, json, pathlib, sys

from tests.integration.daemon.machine import machine_start, repository_make

async def work(root):
    async with machine_start(root / "home", repository_make(root / "repository")) as machine:
        checks = [{{"name": "lock", "command": {LOCKS!r}}}, {{"name": "look", "command": "echo seen"}}]
        step = await machine.until(await machine.submit(executor="fake-success", validations=checks))
        kept = [item.name for item in machine.result(step.step_id).artifacts]
        await machine.worktrees_gone()
        left = [path.name for path in machine.shop.scratch.iterdir()]
        print(json.dumps({{"state": step.state, "kept": kept, "left": left}}))

asyncio.run(work(pathlib.Path(sys.argv[1])))
"""


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root reads everywhere")
def test_a_check_that_locks_up_its_output_is_judged_as_any_other_and_leaves_nothing(tmp_path: Path) -> None:
    # As anybody but root is: held to what a folder's permissions say.
    held = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = subprocess.run([*held, sys.executable, "-c", WORK, str(tmp_path)], check=True, stdout=subprocess.PIPE)
    told = json.loads(done.stdout)
    assert (told["state"], told["left"]) == ("completed", [])
    assert [name for name in told["kept"] if name.startswith(("lock", "look"))] == ["look.stdout"]
