"""What a dead daemon left: found by pid and start time or by marker, never by pid alone."""

import os
import signal
import subprocess
import sys

from local_daemon.processes import orphans, process_table
from local_daemon.protocol import ids

ATTEMPT = ids.new_id(ids.IdPrefix.ATTEMPT)  # Its own: tests that run beside these must not be taken for its family.

_DAEMON = """
import os, signal, sys
from pathlib import Path
from local_daemon.processes import latch
here = Path(sys.argv[1])
os.mkfifo(here / "ready")
script = '(setsid sh -c "echo \\\\$\\\\$ >$0; exec sleep 600" &); exec sleep 600'
latched = latch.launch(argv=["/bin/sh", "-c", script, str(here / "ready")], cwd=here,
                       env={"PATH": os.environ["PATH"]}, stdout=here / "stdout", stderr=here / "stderr",
                       attempt_id=sys.argv[2])
latched.release()
with open(here / "ready") as file:
    print(latched.pid, latched.started_at, int(file.read()), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

_NEXT_DAEMON = """
import asyncio, sys
from local_daemon.processes import children, orphans
children.become_subreaper()
pid, started_at, attempt_id = int(sys.argv[1]), sys.argv[2], sys.argv[3]
ended = asyncio.run(orphans.orphan_end(pid=pid, started_at=started_at, attempt_id=attempt_id, grace_s=5))
sys.exit(not ended.confirmed)
"""


def _daemon_that_dies(tmp_path) -> tuple[int, str, int]:
    daemon = subprocess.run(
        [sys.executable, "-c", _DAEMON, str(tmp_path), ATTEMPT], capture_output=True, text=True, check=False, timeout=30
    )
    assert daemon.returncode == -signal.SIGKILL, daemon.stderr
    pid, started_at, escaped = daemon.stdout.split()
    return int(pid), started_at, int(escaped)


async def test_an_executor_that_outlived_its_daemon_is_found_and_ended_with_its_descendants(tmp_path):
    pid, started_at, escaped = _daemon_that_dies(tmp_path)
    assert orphans.orphan_is_alive(pid=pid, started_at=started_at)
    ended = await orphans.orphan_end(pid=pid, started_at=started_at, attempt_id=ATTEMPT, grace_s=5)
    assert ended.confirmed
    assert not orphans.orphan_is_alive(pid=pid, started_at=started_at)
    assert process_table.started_at(escaped) is None
    again = await orphans.orphan_end(pid=pid, started_at=started_at, attempt_id=ATTEMPT, grace_s=5)
    assert again.confirmed


async def test_a_descendant_is_found_by_its_marker_when_the_executor_itself_is_gone(tmp_path):
    pid, started_at, escaped = _daemon_that_dies(tmp_path)
    os.kill(pid, signal.SIGKILL)
    assert (await orphans.orphan_end(pid=pid, started_at=started_at, attempt_id=ATTEMPT, grace_s=5)).confirmed
    assert process_table.started_at(escaped) is None


def test_the_next_daemon_ends_an_executor_that_is_not_its_descendant(tmp_path):
    pid, started_at, escaped = _daemon_that_dies(tmp_path)
    subprocess.run([sys.executable, "-c", _NEXT_DAEMON, str(pid), started_at, ATTEMPT], check=True, timeout=30)
    assert not orphans.orphan_is_alive(pid=pid, started_at=started_at)
    assert process_table.started_at(escaped) is None


async def test_a_stranger_with_the_recorded_pid_is_left_alone():
    stranger = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
    try:
        other_boot = f"some-other-boot:{process_table.started_at(stranger.pid)}"
        assert not orphans.orphan_is_alive(pid=stranger.pid, started_at=other_boot)
        ended = await orphans.orphan_end(pid=stranger.pid, started_at=other_boot, attempt_id=ATTEMPT, grace_s=0)
        assert ended.confirmed
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
