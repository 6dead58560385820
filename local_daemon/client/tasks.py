"""From what the operator typed to a submitted step.

Called by the CLI. Tests: tests/integration/daemon/test_cli.py.
"""

import os
from pathlib import Path
from typing import Any, TextIO, TypeVar

from pydantic import BaseModel, ValidationError

from local_daemon.client.http import DaemonClient
from local_daemon.protocol import envelopes, errors, ids, messages, specs

M = TypeVar("M", bound=BaseModel)

PATCH_EXECUTOR = "patch"


def task_read(
    *, goal: str | None, task_file: TextIO | None, patch_file: TextIO | None, executor: str | None
) -> specs.TaskSpec:
    """The TaskSpec that the options add up to. Raises InvalidRequest."""
    if task_file is not None and (goal is not None or patch_file is not None):
        raise errors.InvalidRequest("--task says it all: it goes without --goal and --patch")
    if task_file is not None:
        document = _document_read(task_file)
    else:
        document = {"goal": goal or ("Apply the patch." if patch_file else "")}
        if patch_file is not None:
            document |= {"patch": patch_file.read(), "executor": PATCH_EXECUTOR}
    if executor is not None:
        document["executor"] = executor
    return checked(specs.TaskSpec, document)


def _document_read(file: TextIO) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(file)  # JSON is YAML.
    except yaml.YAMLError as error:
        raise errors.InvalidRequest(f"--task: not valid YAML or JSON: {error}") from None
    if not isinstance(document, dict):
        raise errors.InvalidRequest("--task: must be a mapping")
    return document


def checked(model: type[M], document: dict[str, Any]) -> M:
    """The document as a message. Raises InvalidRequest that names each field."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise errors.InvalidRequest("not valid", errors=envelopes.readable_errors(error)) from None


def repository_choose(client: DaemonClient, repository_id: str | None) -> str:
    """The repository that is named, or the one the operator stands in, made known if it isn't yet."""
    if repository_id is not None:
        if not ids.is_id(ids.IdPrefix.REPOSITORY, repository_id):
            raise errors.InvalidRequest("--repository: not the id of a repository; see `ropeway repository list`")
        return repository_id
    body = messages.RepositoryAdd(path=str(Path(os.getcwd())))
    return client.call("repositories.add", messages.RepositoryView, body=body).repository_id


def step_submit(
    client: DaemonClient, *, repository_id: str, run_id: str | None, task: specs.TaskSpec, name: str | None
) -> messages.StepView:
    """Queue the step, in the run that is named or in one of its own, which then takes no other."""
    place = {"repository_id": repository_id}
    own_run = run_id is None
    if own_run:
        opened = client.call(
            "runs.create", messages.RunAnswer, parameters=place, body=messages.RunCreate(objective=task.goal)
        )
        run_id = opened.run.run_id
    parameters = {**place, "run_id": str(run_id)}
    wanted = checked(messages.StepSubmit, {"task": task, "name": name})
    step = client.call("steps.submit", messages.StepAnswer, parameters=parameters, body=wanted).step
    if own_run:
        client.call("runs.close", messages.RunAnswer, parameters=parameters, body=messages.Empty())
    return step
