"""`ropeway manifest …`: a whole run from one file, and where each of its steps stands.

In the file `defaults` holds what every task gets that does not say it itself, and who does one that names nobody is the
repository's choice, as ever; both are put in before anything is sent, so that the daemon is given, and records, exactly
what will be done. Tests: tests/integration/daemon/test_cli_plans.py.
"""

from pathlib import Path
from typing import Any, BinaryIO

import click

from local_daemon.cli import naming, options, task_files, tasks, values
from local_daemon.client import http
from local_daemon.client.http import DaemonClient
from local_daemon.config import home as homes
from local_daemon.protocol import errors, ids, manifests, messages, origins

_BY_NAME = "`executor` in the file's `defaults` or its task"


@click.group()
def manifest() -> None:
    """Whole runs, submitted at once."""


@manifest.command("submit")
@click.argument("file", type=click.File("rb"))
@values.repository_option
@options.json_option
@click.pass_obj
def manifest_submit(home: homes.Home, /, *, file: BinaryIO, repository: str | None, as_json: bool) -> None:
    """Queue every step of FILE (YAML or JSON, - for standard input), or say all that is wrong with it."""
    folder = options.repository_folder(home, repository)
    body = options.message_checked(manifests.RunManifest, _document(home, folder, file))
    needs_commit = any(step.task.base is None and step.builds_on is None for step in body.steps)
    with http.connect_or_start(home, options.daemon_start) as client:
        place = {"repository_id": options.repository_begin(client, repository, needs_commit=needs_commit)}
        answer = client.call("manifests.submit", messages.ManifestView, parameters=place, body=body)
    options.show(answer, as_json=as_json, lines=[*_lines(answer), *options.warning_lines(answer.warnings)])


@manifest.command("show")
@click.argument("run_id", shell_complete=values.run)
@values.repository_option
@options.json_option
@options.with_daemon()
def manifest_show(client: DaemonClient, *, run_id: str, repository: str | None, as_json: bool) -> None:
    """Show the plan of a run, and where it stands."""
    place = naming.place_find(client, repository, ids.IdPrefix.RUN, run_id)
    found = client.call("manifests.get", messages.ManifestView, parameters=place)
    options.show(found, as_json=as_json, lines=_lines(found))


def _document(home: homes.Home, folder: Path | None, file: BinaryIO) -> dict[str, Any]:
    text = tasks.text_read(file)
    words = text.removeprefix(tasks.MARK)
    document = task_files.task_file_parse(words, name=file.name)
    defaults = document.pop("defaults", {})
    if not isinstance(defaults, dict):
        raise errors.InvalidRequest("defaults: must be a mapping")
    steps, added = document.get("steps"), list[str]()
    # What is no list of steps, or no task, is said of the whole manifest.
    for step in steps if isinstance(steps, list) else []:
        if isinstance(step, dict) and isinstance(step.get("task"), dict):
            step["task"], said = tasks.executor_default({**defaults, **step["task"]}, home, folder, how=_BY_NAME)
            added += [f"{step.get('name')}: {each}" for each in said]
    if "provenance" in document:
        raise errors.InvalidRequest("provenance: is what this file becomes, and nothing to say in it")
    handed = tasks.file_origin(file, text, source=origins.Source.MANIFEST, form=task_files.form_of(words))
    return {**document, "provenance": origins.with_defaults(handed, added)}


def _lines(view: messages.ManifestView) -> list[str]:
    width = max(len(step.name) for step in view.steps)
    lines = [f"{view.run.run_id} is {view.run.state}"]
    for step in view.steps:
        more = f"  waits for {', '.join(step.waits_for)}" if step.waits_for else ""
        more = f"  {step.not_started_because}" if step.not_started_because else more
        more = f"  {step.failure.detail}" if step.failure else more
        lines.append(f"  {step.name:<{width}}  {step.state:<15}  {step.step_id}{more}")
    return lines
