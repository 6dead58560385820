"""`ropeway submit`: from what the operator typed to a queued step, and on request to its end.

Tests: tests/integration/daemon/test_cli.py.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import click

from local_daemon.cli import exit_codes, naming, options, progress, tasks, values
from local_daemon.client import http
from local_daemon.client.http import DaemonClient
from local_daemon.config import home as homes
from local_daemon.config import settings
from local_daemon.protocol import errors, ids, manifests, messages, origins, specs

_PERSON = "ide-chat"
_ALONE = "task"
"""What a step is called in a run of its own, unless it was named."""


@click.command()
@click.option("--goal", help="What to do, in words.")
@click.option("--task", "task_file", type=click.File("rb"), help="A TaskSpec, YAML or JSON (- for standard input).")
@click.option("--patch", "patch_file", type=click.File("rb"), help="A unified diff to apply (- for standard input).")
@click.option(
    "--executor",
    shell_complete=values.executor,
    help="Who does it (default: the repository's choice, then yours; for a patch: patch).",
)
@click.option("--profile", shell_complete=values.profile, help="How the executor is run: a profile from daemon.toml.")
@click.option("--model", metavar="NAME", help="Which model, where the executor lets a task choose (params.model).")
@click.option("--base", metavar="REV", help="Branch, tag or commit to begin at (default: what is checked out).")
@click.option(
    "--check",
    "checks",
    metavar="COMMAND",
    multiple=True,
    help="A command that must pass when the work is done, run by sh in its worktree.",
)
@options.budget_option
@values.repository_option
@click.option(
    "--run",
    "run",
    metavar="ID|NAME",
    shell_complete=values.run_or_name,
    help="Add to this run (default: a run of the step's own).",
)
@click.option("--name", help="A name for the step: submitting the same again to the run returns it.")
@click.option("--wait", is_flag=True, help="Stay until nothing more happens without a decision.")
@options.timeout_option
@options.quiet_option
@options.json_option
@click.pass_obj
def submit(
    home: homes.Home,
    /,
    *,
    repository: str | None,
    run: str | None,
    name: str | None,
    wait: bool,
    timeout_s: float | None,
    quiet: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Queue one step, and with --wait follow it to its end.

    --model, --base, --check and --budget-usd say what a task file does not say itself. A daemon is started where none
    runs; what is wrong is said before that."""
    if timeout_s is not None and not wait:
        raise click.UsageError("--timeout goes with --wait.")
    folder = options.repository_folder(home, repository)
    task, handed = tasks.task_read(home, folder, **given)
    options.message_checked(messages.StepSubmit, {"task": task, "name": name})
    with http.connect_or_start(home, lambda home: _start(home, task)) as client:
        repository_id = options.repository_begin(client, repository, needs_commit=task.base is None)
        answer = step_submit(client, repository_id=repository_id, run=run, task=task, name=name, provenance=handed)
        step, warnings = answer.step, answer.warnings
        if not wait:
            document = step.model_copy(update={"warnings": (*warnings, *step.warnings)})
            lines = [*_queued_lines(step), *options.warning_lines(warnings)]
            options.show(document, as_json=as_json, lines=lines)
            return
        step_await(client, step, warnings=warnings, timeout_s=timeout_s, quiet=quiet, as_json=as_json)


def step_await(
    client: DaemonClient,
    step: messages.StepView,
    *,
    warnings: tuple[str, ...],
    timeout_s: float | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Follow the step to its end, show what it came to, and end the command with its exit code. `warnings` are the
    answer's to who asked for it: said at once, while there is still something to call off, and with the result."""
    if not (quiet or as_json):
        options.tell([*options.warning_lines(warnings), *_yours_lines(step)], err=True)
    with progress.told_where_it_goes_on(step):
        step = progress.step_follow(client, step, timeout_s=timeout_s, is_quiet=quiet or as_json)
        place = {"repository_id": step.repository_id, "step_id": step.step_id}
        result = client.call("steps.result", specs.ResultSpec, parameters=place)
    result = result.model_copy(update={"warnings": (*warnings, *result.warnings)})
    progress.result_show(client, place, result, as_json=as_json)
    raise click.exceptions.Exit(exit_codes.step_exit_code(step))


def _start(home: homes.Home, task: specs.TaskSpec) -> None:
    """Start a daemon for this task. Raises InvalidRequest for an executor that it would not have."""
    from local_daemon.executors import registry

    try:
        registry.registry_build(os.environ, settings.settings_read(home.settings)).executor_get(task.executor)
    except registry.UnknownExecutor as error:
        raise errors.InvalidRequest(f"There is no executor {task.executor!r}; see `ropeway doctor`.") from error
    except settings.SettingsInvalid:
        pass  # Starting says what is wrong with them.
    options.daemon_start(home)


def _queued_lines(step: messages.StepView) -> list[str]:
    yours = list(_yours_lines(step))
    return [f"{step.step_id} is {step.state}", *yours, f"  see it with: ropeway watch {step.run_id}"]


def _yours_lines(step: messages.StepView) -> Iterator[str]:
    """How a step that a person does is done."""
    if step.executor == _PERSON:
        yield f'  you do it in: cd "$(ropeway step folder {step.step_id})"'
        yield f"  and say so:   ropeway step done {step.step_id}"


def step_submit(
    client: DaemonClient,
    *,
    repository_id: str,
    run: str | None,
    task: specs.TaskSpec,
    name: str | None,
    provenance: origins.Provenance,
) -> messages.StepAnswer:
    """Queue the step in the run that is meant, by id or by name, or in one of its own, which takes no other."""
    wanted = options.message_checked(messages.StepSubmit, {"task": task, "name": name, "provenance": provenance})
    place = {"repository_id": repository_id}
    if run is not None and naming.is_no_name(ids.IdPrefix.RUN, run):
        parameters = naming.place_find(client, repository_id, ids.IdPrefix.RUN, run)
        return client.call("steps.submit", messages.StepAnswer, parameters=parameters, body=wanted)
    if run is None:
        return _alone_submit(client, place, task=task, name=name or _ALONE, provenance=provenance)
    opening = options.message_checked(messages.RunCreate, {"objective": task.goal, "name": run})
    opened = client.call("runs.create", messages.RunAnswer, parameters=place, body=opening)
    # A run that is new stays open where the step is refused: the name is to hold it once it is put right.
    parameters = {**place, "run_id": opened.run.run_id}
    return client.call("steps.submit", messages.StepAnswer, parameters=parameters, body=wanted)


def _alone_submit(
    client: DaemonClient, place: dict[str, str], *, task: specs.TaskSpec, name: str, provenance: origins.Provenance
) -> messages.StepAnswer:
    """Queue the step and the run that holds nothing else at once: a step that is refused leaves no run."""
    plan: dict[str, Any] = {"objective": task.goal, "on_failure": "continue", "provenance": provenance}
    body = options.message_checked(manifests.RunManifest, {**plan, "steps": [{"name": name, "task": task}]})
    try:
        answer = client.call("manifests.submit", messages.ManifestView, parameters=place, body=body)
    except errors.InvalidRequest as error:
        problems = [_of_step(each, name) for each in error.attributes.get("errors", ())]
        if not problems:
            raise
        raise errors.InvalidRequest("; ".join(problems)) from error
    (made,) = answer.steps
    step = client.call("steps.get", messages.StepView, parameters={**place, "step_id": made.step_id})
    warnings = tuple(warning.removeprefix(f"{name}: ") for warning in answer.warnings)
    return messages.StepAnswer(step=step, created=answer.created, warnings=warnings)


def _of_step(problem: Mapping[str, Any], name: str) -> str:
    """What is wrong with the manifest of one, as it is said of the step: a problem that names the step says all."""
    said = str(problem.get("problem"))
    if said.startswith(f"{name}: "):
        return said.removeprefix(f"{name}: ")
    field = str(problem.get("field") or "").removeprefix("steps.0.")
    return f"{field}: {said}" if field else said
