import json
import os
import subprocess
import sys

import click
from click.testing import CliRunner

from cloud.cloudctl import printing

STEERING = "\x1b[2J\x1b]0;mine\x07All is \x1b[32mwell\x1b[0m\x08\u202e"


@click.command()
@printing.output_option
def shown() -> None:
    printing.facts_print({"question": f"{STEERING}\ndigest: another"}, parts={"changes": [{"path": STEERING}]})


def test_what_a_person_is_shown_does_not_steer_their_terminal() -> None:
    told = CliRunner().invoke(shown, ["--table"]).output
    assert all(character.isprintable() or character == "\n" for character in told)
    assert "All is well" in told


def test_a_value_of_several_lines_passes_for_no_other_fact() -> None:
    told = CliRunner().invoke(shown, ["--table"]).output
    assert [line for line in told.splitlines() if line.startswith("digest:")] == []


def test_output_that_nobody_reads_on_changes_nothing_of_how_a_command_ends() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    code = "from cloud.cloudctl import printing; printing.rows_print([{'a': 1}]); raise SystemExit(7)"
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=60
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (7, "")


@click.command()
@printing.output_option
def warned() -> None:
    answer = {"run": {"run_id": "run_1"}, "warnings": [f"{STEERING} budget"]}
    printing.warnings_tell(answer)
    printing.warnings_tell({"run": answer["run"]})
    printing.facts_print(answer["run"])


def test_what_a_machine_warns_of_stands_beside_the_answer() -> None:
    told = CliRunner().invoke(warned, ["--json"])
    assert (json.loads(told.stdout), told.stderr) == ({"run_id": "run_1"}, "warning: All is well   budget\n")
