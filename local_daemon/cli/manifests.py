"""`ropeway manifest …`: a whole run from one file, and where each of its steps stands.

In the file `defaults` holds what every task gets that does not say it itself; it is put in before anything is sent, so
that the daemon is given, and records, exactly what will be done. Tests: tests/integration/daemon/test_cli_plans.py.
"""

from pathlib import Path
from typing import Any

import click

from local_daemon.cli import naming, options, task_files
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import errors, ids, limits, manifests, messages


@click.group()
def manifest() -> None:
    """Whole runs, submitted at once."""


@manifest.command("submit")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.repository_option
@options.json_option
@options.with_daemon(starts=True)
def manifest_submit(client: DaemonClient, *, file: Path, repository: str | None, as_json: bool) -> None:
    """Queue every step of FILE (YAML or JSON), or say all that is wrong with it."""
    place = {"repository_id": options.repository_ensure(client, repository)}
    body = options.message_checked(manifests.RunManifest, _document(file))
    answer = client.call("manifests.submit", messages.ManifestView, parameters=place, body=body)
    options.show(answer, as_json=as_json, lines=_lines(answer))


@manifest.command("show")
@click.argument("run_id")
@options.repository_option
@options.json_option
@options.with_daemon()
def manifest_show(client: DaemonClient, *, run_id: str, repository: str | None, as_json: bool) -> None:
    """Show the plan of a run, and where it stands."""
    place = naming.place_find(client, repository, ids.IdPrefix.RUN, run_id)
    found = client.call("manifests.get", messages.ManifestView, parameters=place)
    options.show(found, as_json=as_json, lines=_lines(found))


def _document(file: Path) -> dict[str, Any]:
    if file.stat().st_size > limits.BODY_BYTES:
        raise errors.PayloadTooLarge(f"{file.name}: longer than {limits.BODY_BYTES} bytes")
    document = task_files.task_file_parse(file.read_text(encoding="utf-8"))
    defaults = document.pop("defaults", {})
    if not isinstance(defaults, dict):
        raise errors.InvalidRequest("defaults: must be a mapping")
    for step in document.get("steps") or []:
        if isinstance(step, dict) and isinstance(step.get("task"), dict):
            step["task"] = {**defaults, **step["task"]}
    return document


def _lines(view: messages.ManifestView) -> list[str]:
    width = max(len(step.name) for step in view.steps)
    lines = [f"{view.run.run_id} is {view.run.state}"]
    for step in view.steps:
        more = f"  waits for {', '.join(step.waits_for)}" if step.waits_for else ""
        more = f"  {step.not_started_because}" if step.not_started_because else more
        more = f"  {step.failure.detail}" if step.failure else more
        lines.append(f"  {step.name:<{width}}  {step.state:<15}  {step.step_id}{more}")
    return lines
