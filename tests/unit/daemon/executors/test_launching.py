"""From task to latched process: files and environment as asked, nothing started before the release."""

import os
from pathlib import Path

from local_daemon.executors import launching, port
from local_daemon.processes import children
from local_daemon.protocol import ids

ATTEMPT = ids.new_id(ids.IdPrefix.ATTEMPT)  # Its own: tests that run beside these must not be taken for its family.


class Printer:
    """An executor that prints its input and environment."""

    name = "printer"

    async def availability(self) -> port.Availability:
        return port.Availability(status=port.AvailabilityStatus.AVAILABLE)

    def prepare(self, task: port.ExecutorTask) -> port.Launch:
        prompt = task.scratch / "prompt"
        return port.Launch(
            argv=("/bin/sh", "-c", "cat; env; pwd"),
            stdin=prompt,
            files={prompt: task.goal.encode()},
            passed_names=("PRINTER_KEY",),
            values={"CI": "1"},
        )

    def interpret(
        self, status: children.ExitStatus, *, stdout: Path, stderr: Path, task: port.ExecutorTask
    ) -> port.ExecutorReport:
        return port.ExecutorReport(outcome=port.Outcome.SUCCEEDED)


async def test_files_input_and_environment_are_as_the_executor_and_policy_say(run, tree, monkeypatch, tmp_path):
    for name in ("PRINTER_KEY", "AWS_SECRET_ACCESS_KEY", "ROPEWAY_TOKEN"):
        monkeypatch.setenv(name, "value")
    done = await run(Printer(), goal="a poem\n", attempt_id=ATTEMPT)
    lines = done.stdout.read_text().splitlines()
    assert lines[0] == "a poem"
    assert lines[-1] == str(tree)
    assert {"PRINTER_KEY=value", "CI=1", f"ROPEWAY_ATTEMPT_ID={ATTEMPT}"} <= set(lines)
    assert not [line for line in lines if line.startswith(("AWS_", "ROPEWAY_TOKEN"))]
    assert os.stat(tmp_path / "scratch/prompt").st_mode & 0o777 == 0o600


async def test_an_aborted_launch_has_started_nothing(task, tmp_path):
    latched = launching.attempt_launch(
        Printer(), task(), operator_environment={}, passed_names=(), stdout=tmp_path / "out", stderr=tmp_path / "err"
    )
    await latched.abort()
    assert (tmp_path / "out").read_bytes() == b""
