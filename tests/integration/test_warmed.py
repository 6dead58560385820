"""Commands that a warmed Python forks: what hangs is ended, nothing outlives who asked, and none gets another's."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.warmed import ENDS_WITHIN_S, Warmed

CHECKOUT = Path(__file__).parents[2]
ASKS = """
import os, sys
from pathlib import Path
from tests.integration import warmed
with warmed.Warmed(env=os.environ, cwd=Path.cwd()) as asked:
    started = asked.start("stays", files=[0, 1, 2])
    os.write(1, b'%d\\n' % started.pid)
    sys.stdin.read()
    raise KeyboardInterrupt
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """One in which `python -m stays` says so and never ends, and `python -m says` repeats what it is given."""
    (tmp_path / "stays.py").write_text("import os, signal\nos.write(1, b'here\\n')\nsignal.pause()\n")
    (tmp_path / "says.py").write_text("import sys\nprint(sys.stdin.read() + sys.argv[1])\nsys.exit(int(sys.argv[1]))\n")
    return {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{CHECKOUT}"}


@pytest.fixture
def warmed(env: dict[str, str]) -> Iterator[Warmed]:
    """One with nothing imported."""
    with Warmed(env=env, cwd=CHECKOUT) as opened:
        yield opened


def test_a_command_that_hangs_is_ended_and_fails_who_asked(warmed: Warmed) -> None:
    with pytest.raises(TimeoutError, match=f"with {-signal.SIGKILL}") as hung:
        warmed.run("stays", within_s=0)
    assert hung.value.__notes__
    assert warmed.run("says", "3").returncode == 3


def test_one_that_has_hung_leaves_no_process(warmed: Warmed) -> None:
    ours, theirs = os.pipe()
    with open(os.devnull, "rb") as nothing, open(ours) as said:
        started = warmed.start("stays", files=[nothing.fileno(), theirs, 2])
        os.close(theirs)
        assert said.readline() == "here\n"
        with pytest.raises(TimeoutError):
            started.wait(within_s=0)
        assert said.read() == ""
    with pytest.raises(ProcessLookupError):
        os.kill(started.pid, 0)


def test_whoever_waits_for_one_that_hangs_gets_no_answer_of_anothers(warmed: Warmed) -> None:
    with open(os.devnull, "rb+") as nothing:
        hangs = warmed.start("stays", files=[nothing.fileno()] * 3)
    ended: list[int] = []
    waits = threading.Thread(target=lambda: ended.append(hangs.wait()))
    waits.start()
    for number in range(3):
        said = warmed.run("says", str(number), given="word ")
        assert (said.returncode, said.stdout) == (number, f"word {number}\n")
    os.kill(hangs.pid, signal.SIGTERM)
    waits.join(ENDS_WITHIN_S)
    assert ended == [-signal.SIGTERM]


@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "interrupted"])
def test_nothing_outlives_who_asked(env: dict[str, str], is_killed: bool) -> None:
    """Its output is open for as long as it, its warmed Python or the command is there."""
    command = [sys.executable, "-c", ASKS]
    with subprocess.Popen(
        command, cwd=CHECKOUT, env=env, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as asker:  # fmt: skip
        assert asker.stdout is not None
        assert {asker.stdout.readline().strip().isdigit() for _ in range(2)} == {True, False}
        if is_killed:
            asker.kill()
        assert asker.communicate(timeout=ENDS_WITHIN_S)[0] == ""  # Which ends its input, and so it.


def test_what_is_read_once_is_not_asked_for_anew(warmed: Warmed, env: dict[str, str]) -> None:
    with pytest.raises(AssertionError, match="ROPEWAY_FAILPOINT"):
        warmed.run("says", "0", env={**env, "ROPEWAY_FAILPOINT": "daemon.step_submit.before_commit"})
