"""The list of commands needs no installation; and what is said where none is."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cloud.cloudctl import main

CHECKOUT = Path(__file__).parents[4]
NOWHERE = {
    name: value for name, value in os.environ.items() if not name.startswith(("ROPEWAY_", "DATABASE_", "DJANGO_"))
}


def say(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`cloudctl` where nothing of an installation is, but these settings."""
    return subprocess.run(
        [sys.executable, "-m", "cloud.cloudctl.main", *words],
        env={**NOWHERE, "PYTHONPATH": str(CHECKOUT), **settings},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("name", main.COMMANDS)
def test_the_list_says_of_a_command_what_it_says_of_itself(name: str) -> None:
    command = main.cloudctl.get_command(click.Context(main.cloudctl), name)
    assert command is not None
    assert main.COMMANDS[name].help == command.get_short_help_str(limit=200)


def test_the_list_is_shown_where_no_installation_is() -> None:
    said = say("--help", ROPEWAY_SETTINGS="production")
    assert (said.returncode, said.stderr) == (0, "")
    assert all(name in said.stdout for name in main.COMMANDS)


@pytest.mark.parametrize("words", [("project", "list"), ("bootstrap", "--help"), ("doctor",)])
def test_where_no_installation_is_what_is_missing_is_named(words: tuple[str, ...]) -> None:
    said = say(*words, ROPEWAY_SETTINGS="production", DATABASE_URL="postgresql:///unused")
    assert said.returncode == 2
    assert "ROPEWAY_HOSTS, ROPEWAY_SECRET_KEY" in said.stderr
    assert "DATABASE_URL" not in said.stderr
    assert "Traceback" not in said.stderr


def test_what_only_the_installation_can_do_is_refused_by_url_before_one_is_looked_for() -> None:
    said = say(
        "--url", "https://ropeway.example.com", "task", "list", CLOUDCTL_TOKEN="rw_x", ROPEWAY_SETTINGS="production"
    )
    assert (said.returncode, "Only where the database is" in said.stderr) == (2, True)
