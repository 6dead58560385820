"""`ropeway step folder` and `ropeway step done`: a person who does a step themselves (the executor `ide-chat`), or
looks at the worktree that was kept of one.

Both read and write beside the daemon, in its home, because where the worktree lies is nothing that leaves the machine.
Registered in `steps`. Tests: tests/integration/daemon/executors/test_person.py.
"""

from contextlib import closing, suppress
from pathlib import Path

import click

from local_daemon.cli import naming, options, values
from local_daemon.client import http
from local_daemon.config import home as homes
from local_daemon.executors import person
from local_daemon.protocol import errors, ids, specs, states


@click.command("folder")
@click.argument("step_id", shell_complete=values.step)
@values.repository_option
@options.json_option
@click.pass_obj
def step_folder(home: homes.Home, /, *, step_id: str, repository: str | None, as_json: bool) -> None:
    """Print where you do a step yourself, or the worktree that was kept of any: cd "$(ropeway step folder STEP)"."""
    newest = _newest(home, repository, step_id)
    folder = str(_folder(home, newest))
    if as_json:
        options.show({"step_id": newest.step_id, "folder": folder}, as_json=True, lines=())
    else:
        click.echo(folder)  # As it is: a shell goes there.


@click.command("done")
@click.argument("step_id", shell_complete=values.step)
@click.option("--failed", "said", flag_value=person.Said.FAILED.value, help="It can't be done; --words say why.")
@click.option("--ask", "said", flag_value=person.Said.ASKS.value, help="You need an answer first; --words ask it.")
@click.option("--done", "said", flag_value=person.Said.DONE.value, default=person.Said.DONE.value, hidden=True)
@click.option("--words", default="", help="What to say about it.")
@values.repository_option
@options.json_option
@click.pass_obj
def step_done(
    home: homes.Home, /, *, step_id: str, said: str, words: str, repository: str | None, as_json: bool
) -> None:
    """Say that you have done a step."""
    if said == person.Said.ASKS and not words.strip():
        raise click.UsageError("--ask goes with --words.")
    newest = _newest(home, repository, step_id)
    try:
        person.word_send(_scratch(home, newest), person.Said(said), words=words)
    except person.NobodyWaits as error:
        raise errors.InvalidTransition(errors.said(error)) from error
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    options.show({"step_id": newest.step_id, "said": said}, as_json=as_json, lines=[f"{newest.step_id}: said"])


def _folder(home: homes.Home, newest: specs.ResultSpec) -> Path:
    """Where a person works, or what was kept to be looked at."""
    if newest.attempt_id is not None and newest.executor == person.NAME:
        with suppress(person.NobodyWaits):
            return person.folder_find(home.scratch / newest.attempt_id)
    kept = _kept(home, newest.attempt_id) if newest.state in states.STEP_SETTLED else None
    if kept is not None:
        return kept
    if newest.executor == person.NAME:
        raise errors.InvalidTransition(errors.default_message(person.NobodyWaits))
    raise errors.InvalidTransition(f"No worktree of {newest.step_id} is there: it goes once all it held is recorded.")


def _kept(home: homes.Home, attempt_id: str | None) -> Path | None:
    """The attempt's worktree, if it is still there and nobody has worked in it since."""
    # Imported only here: no other command of the group needs to know of places.
    from local_daemon.scheduler import places
    from local_daemon.storage import database

    if attempt_id is None:
        return None
    with closing(database.reader_open(home.record)) as record:
        place = places.place_of(record, attempt_id)
        is_its = places.worked_last(record, place).attempt_id == attempt_id
    return home.worktrees / place if is_its and (home.worktrees / place).is_dir() else None


def _scratch(home: homes.Home, newest: specs.ResultSpec) -> Path:
    if newest.attempt_id is None or newest.executor != person.NAME:
        raise errors.InvalidTransition(f"{newest.step_id} is not yours to do: no attempt of it is {person.NAME}'s.")
    return home.scratch / newest.attempt_id


def _newest(home: homes.Home, repository: str | None, step_id: str) -> specs.ResultSpec:
    with http.connect(home) as client:
        parameters = naming.place_find(client, repository, ids.IdPrefix.STEP, step_id)
        return client.call("steps.result", specs.ResultSpec, parameters=parameters)
