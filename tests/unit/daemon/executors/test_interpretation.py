"""The words of a report lose what must not leave the machine."""

from pathlib import Path

from local_daemon.executors import interpretation, port
from local_daemon.processes import children


class Talker:
    """An executor whose every word names this machine."""

    name = "talker"

    async def availability(self) -> port.Availability:
        return port.Availability(status=port.AvailabilityStatus.AVAILABLE)

    def prepare(self, task: port.ExecutorTask) -> port.Launch:
        return port.Launch(argv=("true",))

    def interpret(
        self, status: children.ExitStatus, *, stdout: Path, stderr: Path, task: port.ExecutorTask
    ) -> port.ExecutorReport:
        said = f"{task.worktree}/a.txt /home/ada/.codex /srv/shop sk-very-secret"
        return port.ExecutorReport(
            outcome=port.Outcome.FAILED, summary=said, detail=said, questions=(said,), warnings=(said,)
        )


def test_no_word_names_a_path_or_a_secret(task, tmp_path):
    report = interpretation.attempt_interpret(
        Talker(),
        task(),
        children.ExitStatus(exit_code=1),
        stdout=tmp_path / "out",
        stderr=tmp_path / "err",
        home=Path("/home/ada"),
        directories={"repository": Path("/srv/shop")},
        secrets={"OPENAI_API_KEY": "sk-very-secret"},
    )
    clean = "./a.txt ~/.codex [repository] [redacted:OPENAI_API_KEY]"
    assert (report.summary, report.detail, report.questions, report.warnings) == (clean, clean, (clean,), (clean,))
