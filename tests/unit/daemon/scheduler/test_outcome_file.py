"""What a launcher's file tells a later daemon (ADR 0002)."""

import os
from pathlib import Path

import pytest

from local_daemon.processes.children import ExitStatus
from local_daemon.scheduler import outcome_file
from local_daemon.scheduler.outcome_file import Outcome


def test_without_a_file_the_program_never_started(tmp_path: Path) -> None:
    assert outcome_file.outcome_read(tmp_path / "outcome") == (Outcome.NOT_STARTED, None)


@pytest.mark.parametrize("text", ["", "\n", "-1\n", "nonsense\n", "\xff\n", "1", "13"])
def test_a_file_without_a_number_says_only_that_it_started(tmp_path: Path, text: str) -> None:
    (tmp_path / "outcome").write_text(text, encoding="latin-1")
    assert outcome_file.outcome_read(tmp_path / "outcome") == (Outcome.UNKNOWN, None)


def test_a_pipe_says_only_that_it_started_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "outcome")
    assert outcome_file.outcome_read(tmp_path / "outcome") == (Outcome.UNKNOWN, None)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("0\n", ExitStatus(exit_code=0)), ("128\n", ExitStatus(exit_code=128)), ("137\n", ExitStatus(exit_code=137)),
        ("255\n", ExitStatus(exit_code=255)),
    ],
)  # fmt: skip
def test_a_number_is_how_it_ended(tmp_path: Path, text: str, status: ExitStatus) -> None:
    (tmp_path / "outcome").write_text(text)
    assert outcome_file.outcome_read(tmp_path / "outcome") == (Outcome.ENDED, status)
