"""The words of a report lose what must not leave the machine."""

from pathlib import Path

from local_daemon.executors import interpretation, jsonl, port
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


class Counting:
    """Reads lines, and counts how often it was given one."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def read(self, line: bytes) -> None:
        self.lines.append(line)

    @property
    def usage(self) -> port.Usage:
        return port.Usage(output_tokens=len(self.lines))


class Metered(Talker):
    """A talker whose output is counted."""

    def __init__(self) -> None:
        self.counting = Counting()

    def reading(self, task: port.ExecutorTask) -> port.Reading:
        return self.counting


def test_a_meter_reads_each_line_once_and_half_a_line_when_it_is_whole(task, tmp_path):
    executor, out = Metered(), tmp_path / "out"
    meter = interpretation.UsageMeter(executor, task(), stdout=out, stderr=tmp_path / "err")
    assert meter.usage() == port.Usage()
    for piece, counted in ((b"one\ntwo\nth", 2), (b"ree\n", 3), (b"", 3), (b"four", 3), (b"\n", 4)):
        with open(out, "ab") as file:
            file.write(piece)
        assert meter.usage().output_tokens == counted
    assert executor.counting.lines == [b"one\n", b"two\n", b"three\n", b"four\n"]


def test_a_meter_that_can_not_read_the_output_knows_of_no_usage(task, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    assert interpretation.UsageMeter(Metered(), task(), stdout=out, stderr=tmp_path / "err").usage() == port.Usage()


def test_a_meter_that_the_system_lets_nowhere_near_the_output_knows_of_no_usage(task, tmp_path):
    out = tmp_path / ("o" * 300)  # As of a folder that an executor has locked up, the system says no more than no.
    assert interpretation.UsageMeter(Metered(), task(), stdout=out, stderr=tmp_path / "err").usage() == port.Usage()


def test_a_meter_passes_over_a_line_that_is_too_long_and_hears_what_follows(task, tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "LINE_BYTES", 8)
    executor, out = Metered(), tmp_path / "out"
    meter = interpretation.UsageMeter(executor, task(), stdout=out, stderr=tmp_path / "err")
    for piece in (b"short\nmuch to", b"o long for", b" anybody\nnext\n"):
        with open(out, "ab") as file:
            file.write(piece)
        meter.usage()
    assert executor.counting.lines == [b"short\n", b"next\n"]
