"""The start latch: a process exists, and can be recorded, before it does anything; then it does it exactly once."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local_daemon.processes import children, exits, latch, process_table
from local_daemon.protocol import ids
from local_daemon.scheduler import outcome_file
from tests import pipes

ENV = {"PATH": os.environ["PATH"]}


@pytest.fixture
def launch(tmp_path: Path) -> Callable[..., latch.Latched]:
    def launch(*argv: str, **options: object) -> latch.Latched:
        settings: dict[str, object] = {
            "cwd": tmp_path,
            "env": ENV,
            "stdout": tmp_path / "stdout",
            "stderr": tmp_path / "stderr",
        }
        return latch.launch(argv=argv, **{**settings, **options})  # type: ignore[arg-type]

    return launch


async def test_nothing_starts_before_the_release_and_the_program_keeps_the_recorded_identity(launch, tmp_path):
    latched = launch("/bin/sh", "-c", 'echo "$$" >"$0"', str(tmp_path / "its pid"))
    recorded = (latched.pid, latched.started_at)
    assert not (tmp_path / "its pid").exists()
    running = latched.release()
    assert (await running.wait(10)).exit_code == 0
    assert (running.pid, running.started_at) == recorded
    assert (tmp_path / "its pid").read_text() == f"{recorded[0]}\n"
    assert (await running.terminate(grace_s=1)).confirmed


async def test_an_aborted_latch_starts_nothing_and_leaves_no_process(launch, tmp_path):
    latched = launch("/bin/sh", "-c", 'echo started >"$0"', str(tmp_path / "trace"))
    await latched.abort()
    assert process_table.started_at(latched.pid) is None
    assert not (tmp_path / "trace").exists()


async def test_a_launcher_killed_before_its_release_is_told_apart_from_a_program_that_ended(launch):
    latched = launch("/bin/true")
    os.kill(latched.pid, signal.SIGKILL)
    await exits.until_ended({latched.pid}, timeout_s=10)
    with pytest.raises(latch.LauncherLost):
        latched.release()


async def test_a_daemon_killed_before_the_release_starts_nothing(tmp_path):
    """ARCHITECTURE, "An attempt starts its executor at most once": end of file means that the daemon died."""
    daemon = subprocess.run(
        [sys.executable, "-c", _DAEMON_THAT_DIES, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert daemon.returncode == -signal.SIGKILL, daemon.stderr
    launcher = int((tmp_path / "pid").read_text())
    assert not await exits.until_ended({launcher}, timeout_s=10)
    assert not (tmp_path / "trace").exists()


_DAEMON_THAT_DIES = """
import os, signal, sys
from pathlib import Path
from local_daemon.processes import latch
here = Path(sys.argv[1])
latched = latch.launch(argv=["/bin/sh", "-c", 'echo started >"$0"', str(here / "trace")], cwd=here,
                       env={"PATH": os.environ["PATH"]}, stdout=here / "stdout", stderr=here / "stderr")
(here / "pid").write_text(str(latched.pid))
os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_arguments_reach_the_program_untouched(launch, tmp_path):
    arguments = ["a b", "$HOME", "`id`", "*", "", "\n", "'\"", "-n", "é\udcff"]
    running = launch("/usr/bin/printf", "%s\\0", *arguments).release()
    assert (await running.wait(10)).is_success
    await running.terminate(grace_s=1)
    written = (tmp_path / "stdout").read_bytes().split(b"\0")[:-1]
    assert [os.fsdecode(argument) for argument in written] == arguments


async def test_the_program_reads_its_own_input_not_the_latch(launch, tmp_path):
    (tmp_path / "prompt").write_text("go\nwrite a poem\n")
    running = launch("/bin/cat", stdin=tmp_path / "prompt").release()
    await running.wait(10)
    await running.terminate(grace_s=1)
    assert (tmp_path / "stdout").read_text() == "go\nwrite a poem\n"


async def test_the_program_sees_the_given_environment_and_no_open_file_of_the_daemon(launch, tmp_path, monkeypatch):
    monkeypatch.setenv("ROPEWAY_TOKEN", "the daemon's own")
    attempt_id = ids.new_id(ids.IdPrefix.ATTEMPT)
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    running = launch("/bin/sh", "-c", "env; ls /proc/$$/fd", attempt_id=attempt_id).release()
    await running.wait(10)
    await running.terminate(grace_s=1)
    os.close(reading)
    os.close(writing)
    lines = (tmp_path / "stdout").read_text().splitlines()
    assert f"ROPEWAY_ATTEMPT_ID={attempt_id}" in lines
    assert not [line for line in lines if "the daemon's own" in line]
    assert {line for line in lines if line.isdigit()} <= {"0", "1", "2"}


async def test_a_program_that_does_not_exist_exits_127_and_says_so(launch, tmp_path):
    running = launch("no-such-program").release()
    assert (await running.wait(10)).exit_code == 127
    await running.terminate(grace_s=1)
    assert "no-such-program" in (tmp_path / "stderr").read_text()


async def test_a_missing_directory_is_a_typed_error(launch, tmp_path):
    with pytest.raises(children.LaunchFailed):
        launch("/bin/true", cwd=tmp_path / "gone")


async def test_waiting_past_the_limit_leaves_the_program_running(launch):
    running = launch("/bin/sleep", "600").release()
    with pytest.raises(TimeoutError):
        await running.wait(0.01)
    assert process_table.started_at(running.pid) == running.started_at
    assert (await running.terminate(grace_s=5)).confirmed
    assert running.exit_status == children.ExitStatus(signal=signal.SIGTERM)


async def _ended_once_it_said_ready(launch, tmp_path, script: str, *, grace_s: float) -> latch.RunningProcess:
    """A program under a launcher that stays, asked to end as soon as it has opened its pipe to say that it is ready."""
    os.mkfifo(tmp_path / "ready")
    running = launch("/bin/sh", "-c", f"{script}", outcome=tmp_path / "outcome").release()
    await pipes.pipe_read(tmp_path / "ready")
    assert (await running.terminate(grace_s=grace_s)).confirmed
    return running


async def test_a_program_that_ends_itself_when_asked_to_has_its_own_exit_code_on_record(launch, tmp_path):
    script = "trap 'echo cleaned >cleaned; exit 7' TERM; echo >ready; while :; do sleep 0.02; done"
    running = await _ended_once_it_said_ready(launch, tmp_path, script, grace_s=30)
    assert (tmp_path / "cleaned").read_text() == "cleaned\n"
    assert running.exit_status == children.ExitStatus(exit_code=7)
    assert (tmp_path / "outcome").read_text() == "7\n"


async def test_a_program_that_heeds_no_signal_is_said_to_have_been_killed(launch, tmp_path):
    script = 'trap "" TERM INT HUP; echo >ready; exec sleep 600'
    running = await _ended_once_it_said_ready(launch, tmp_path, script, grace_s=0)
    assert running.exit_status == children.ExitStatus(signal=signal.SIGKILL)
    assert (tmp_path / "outcome").read_text() == ""


async def test_a_program_that_a_signal_ended_is_told_by_its_shells_number_of_which_nothing_else_is_heard(
    launch, tmp_path
):
    """Its signals are the usual ones, and what a shell says of an ended program doesn't get into its output."""
    running = await _ended_once_it_said_ready(launch, tmp_path, "echo >ready; exec sleep 600", grace_s=30)
    assert running.exit_status == children.ExitStatus(exit_code=128 + signal.SIGTERM)
    assert (tmp_path / "outcome").read_text() == "143\n"
    assert (tmp_path / "stderr").read_bytes() == b""


async def test_a_launcher_that_stays_leaves_its_program_the_usual_signals_and_no_open_file(launch, tmp_path):
    script = "grep -E '^Sig(Ign|Cgt)' /proc/self/status; ls /proc/self/fd; echo heard >&2"
    for outcome in (None, tmp_path / "outcome"):
        running = launch("/bin/sh", "-c", script, outcome=outcome).release()
        assert (await running.wait(10)).is_success
        await running.terminate(grace_s=1)
    lines = (tmp_path / "stdout").read_text().splitlines()
    half = len(lines) // 2
    assert lines[:half] == lines[half:]
    assert (tmp_path / "stderr").read_text() == "heard\nheard\n"


@pytest.fixture(params=[signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal that is not ignored: whoever started this in the background may have had it so, which no shell can take
    back."""
    before = signal.getsignal(request.param)
    if before is signal.SIG_IGN:
        signal.signal(request.param, signal.SIG_DFL)
    yield request.param
    if before is signal.SIG_IGN:
        signal.signal(request.param, before)


async def test_a_launcher_outlives_a_program_that_signals_its_whole_group(launch, tmp_path, number):
    script = f"trap 'exit 3' {number.value}; kill -{number.value} 0; while :; do sleep 0.02; done"
    running = launch("/bin/sh", "-c", script, outcome=tmp_path / "outcome").release()
    assert await running.wait(30) == children.ExitStatus(exit_code=3)
    assert (await running.terminate(grace_s=1)).confirmed
    assert (tmp_path / "outcome").read_text() == "3\n"


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("exit 143", "exit code 143 (as after SIGTERM)"), ("kill -TERM $$", "exit code 143 (as after SIGTERM)"),
        ("exit 137", "exit code 137 (as after SIGKILL)"), ("kill -KILL $$", "exit code 137 (as after SIGKILL)"),
        ("exit 128", "exit code 128"), ("exit 160", "exit code 160"), ("exit 255", "exit code 255"),
    ],
)  # fmt: skip
async def test_a_number_that_may_be_a_signals_is_told_as_both_now_and_later(launch, tmp_path, script, told):
    """A wrapper exits with it, and a shell tells so of a program that was killed: nobody can tell the two apart."""
    running = launch("/bin/sh", "-c", script, outcome=tmp_path / "outcome").release()
    status = await running.wait(10)
    await running.terminate(grace_s=1)
    assert (str(status), status.signal, status.may_be_signalled) == (told, None, "as after" in told)
    assert outcome_file.outcome_read(tmp_path / "outcome") == (outcome_file.Outcome.ENDED, status)


async def test_a_signal_that_was_seen_is_told_as_such(launch):
    running = launch("/bin/sh", "-c", "kill -KILL $$").release()
    status = await running.wait(10)
    await running.terminate(grace_s=1)
    assert (str(status), status.may_be_signalled) == ("ended by SIGKILL", True)


@pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="this system has no real-time signals")
async def test_a_signal_without_a_name_is_told_by_its_number(launch):
    number = signal.SIGRTMIN + 6
    running = launch("/bin/sh", "-c", f"kill -{number} $$").release()
    status = await running.wait(10)
    await running.terminate(grace_s=1)
    assert (str(status), status.may_be_signalled) == (f"ended by signal {number}", True)
