"""`ropeway step folder` and `ropeway step done`: a person who does a step themselves (the executor `ide-chat`).

Both read and write beside the daemon, in its home, because where the worktree lies is nothing that leaves the machine.
Registered in `steps`. Tests: tests/integration/daemon/executors/test_person.py.
"""

from pathlib import Path

import click

from local_daemon.cli import options
from local_daemon.client import http
from local_daemon.config import home as homes
from local_daemon.executors import person
from local_daemon.protocol import errors, ids, specs


@click.command("folder")
@click.argument("step_id")
@options.repository_option
@click.pass_obj
def step_folder(home: homes.Home, /, *, step_id: str, repository: str | None) -> None:
    """Print the folder in which you do a step yourself: cd "$(ropeway step folder STEP)"."""
    try:
        click.echo(str(person.folder_find(_scratch(home, repository, step_id))))
    except person.NobodyWaits as error:
        raise errors.InvalidTransition(str(person.NobodyWaits.__doc__)) from error


@click.command("done")
@click.argument("step_id")
@click.option("--failed", "said", flag_value=person.Said.FAILED.value, help="It can't be done; --words say why.")
@click.option("--ask", "said", flag_value=person.Said.ASKS.value, help="You need an answer first; --words ask it.")
@click.option("--done", "said", flag_value=person.Said.DONE.value, default=person.Said.DONE.value, hidden=True)
@click.option("--words", default="", help="What to say about it.")
@options.repository_option
@click.pass_obj
def step_done(home: homes.Home, /, *, step_id: str, said: str, words: str, repository: str | None) -> None:
    """Say that you have done a step."""
    if said == person.Said.ASKS and not words.strip():
        raise click.UsageError("--ask goes with --words.")
    try:
        person.word_send(_scratch(home, repository, step_id), person.Said(said), words=words)
    except person.NobodyWaits as error:
        raise errors.InvalidTransition(str(person.NobodyWaits.__doc__)) from error
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    click.echo(f"{step_id}: said")


def _scratch(home: homes.Home, repository: str | None, step_id: str) -> Path:
    options.id_require(ids.IdPrefix.STEP, step_id)
    with http.connect(home) as client:
        parameters = {"repository_id": options.repository_choose(client, repository), "step_id": step_id}
        newest = client.call("steps.result", specs.ResultSpec, parameters=parameters)
    if newest.attempt_id is None or newest.executor != person.NAME:
        raise errors.InvalidTransition(f"{step_id} is not yours to do: no attempt of it is {person.NAME}'s.")
    return home.scratch / newest.attempt_id
