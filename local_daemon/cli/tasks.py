"""The TaskSpec that the options of `ropeway submit` add up to: a goal, a patch or a task file, and what goes with it.

Whatever a file says already is refused as an option: which of the two was meant is nothing to guess. Files are read as
bytes, since a patch's line ends are what it changes. Called by `submit` and `manifests`.
Tests: tests/unit/daemon/cli/test_tasks.py, tests/integration/daemon/test_cli_submitting.py.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from local_daemon.cli import options
from local_daemon.config import home as homes
from local_daemon.config import repository_file, settings
from local_daemon.protocol import errors, limits, origins, specs

_PATCH_EXECUTOR = "patch"
_PATCH_GOAL = "Apply the patch."
_BY_OPTION = "--executor"
_ANYBODY = "anybody"
_STDIN = "<stdin>"
MARK = "\ufeff"
"""Stands in front of what some editors write, and is none of what it says."""


def task_read(
    home: homes.Home,
    folder: Path | None,
    *,
    goal: str | None,
    task_file: BinaryIO | None,
    patch_file: BinaryIO | None,
    executor: str | None,
    profile: str | None,
    model: str | None,
    base: str | None,
    checks: Sequence[str],
    budget_usd: float | None,
) -> tuple[specs.TaskSpec, origins.Provenance]:
    """The TaskSpec that the options add up to, in the repository in this folder, and what it was made of. Raises
    InvalidRequest."""
    document, handed, added = _document(goal=goal, task_file=task_file, patch_file=patch_file)
    for name, word in (("executor", executor), ("profile", profile)):
        if word is not None:
            document[name] = word
            added.append(f"{name} {word}, of --{name}")
    if patch_file is not None and executor is None:
        document["executor"] = _PATCH_EXECUTOR
        added.append(f"executor {_PATCH_EXECUTOR}, of --patch")
    if base is not None:
        _put(document, "base", base, option="--base")
        added.append(f"base {base}, of --base")
    if checks:
        said = [{"name": f"check-{number}", "command": command} for number, command in enumerate(checks, start=1)]
        _put(document, "validations", said, option="--check")
        added.append("validations, of --check")
    if budget_usd is not None:
        _put_within(document, "budget", "cost_usd", budget_usd, option="--budget-usd")
        added.append(f"budget.cost_usd {budget_usd}, of --budget-usd")
    if model is not None:
        _put_within(document, "params", "model", _model(model, document), option="--model")
        added.append(f"params.model {model}, of --model")
    document, chosen = executor_default(document, home, folder, how=_BY_OPTION)
    task = options.message_checked(specs.TaskSpec, document)
    return task, origins.with_defaults(handed, [*added, *chosen])


def _document(
    *, goal: str | None, task_file: BinaryIO | None, patch_file: BinaryIO | None
) -> tuple[dict[str, Any], origins.Provenance, list[str]]:
    """What is to be done, what said it, and what that did not say. Raises InvalidRequest where nothing is said, or
    twice."""
    if task_file is not None:
        if goal is not None or patch_file is not None:
            raise errors.InvalidRequest("--task says it all: it goes without --goal and --patch.")
        from local_daemon.cli import task_files

        text = text_read(task_file)
        words = text.removeprefix(MARK)
        document = task_files.task_file_parse(words, name="--task")
        return document, file_origin(task_file, text, source=origins.Source.TASK, form=task_files.form_of(words)), []
    if patch_file is not None:
        text = text_read(patch_file)
        patch = text.removeprefix(MARK)
        handed = file_origin(patch_file, text, source=origins.Source.PATCH, form=origins.Form.DIFF, in_task=patch)
        by = "--goal" if goal else "--patch"
        return {"goal": goal or _PATCH_GOAL, "patch": patch}, handed, [f"goal, of {by}"]
    if goal is None:
        raise errors.InvalidRequest("Say what to do with --goal, --task or --patch.")
    handed = origins.provenance_of(goal, source=origins.Source.GOAL, form=origins.Form.TEXT, in_task=goal)
    return {"goal": goal}, handed, []


def file_origin(
    file: BinaryIO, text: str, *, source: origins.Source, form: origins.Form, in_task: str | None = None
) -> origins.Provenance:
    """What this file handed in; standard input has no name."""
    said = os.path.basename(str(getattr(file, "name", "")))
    name = said if said.isprintable() and 0 < len(said) <= limits.TITLE_CHARACTERS and said != _STDIN else None
    return origins.provenance_of(text, source=source, form=form, name=name, in_task=in_task)


def _model(name: str, document: dict[str, Any]) -> str:
    if document.get("patch") is not None:
        raise errors.InvalidRequest("--model: a patch is applied by no model.")
    if not name.strip():
        raise errors.InvalidRequest("--model: must be a model's name.")
    return name


def _put(document: dict[str, Any], name: str, value: Any, *, option: str) -> None:
    """Let the task say this. Raises InvalidRequest where its file says something of it already."""
    if document.get(name):
        raise errors.InvalidRequest(f"{option}: the task file has its own `{name}`; leave one of the two out.")
    document[name] = value


def _put_within(document: dict[str, Any], name: str, member: str, value: Any, *, option: str) -> None:
    """As `_put`, of a member of a mapping."""
    within = document.get(name) or {}
    if not isinstance(within, dict):
        return  # What is wrong with it is said of the whole task.
    if within.get(member) is not None:
        raise errors.InvalidRequest(f"{option}: the task file has its own `{name}.{member}`; leave one of the two out.")
    document[name] = {**within, member: value}


def executor_default(
    document: dict[str, Any], home: homes.Home, folder: Path | None, *, how: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The task with the executor that the repository, else its operator, has chosen for tasks that name none, and what
    was added so, in words; a profile of the repository's choice goes with its executor only. `how` is where one may be
    named. Raises InvalidRequest where nobody has chosen."""
    if document.get("executor") is not None:
        return document, ()
    try:
        chosen = repository_file.Defaults() if folder is None else repository_file.defaults_read(folder)
        executor = chosen.executor or settings.settings_read(home.settings).executors.default
    except (repository_file.RepositoryFileInvalid, settings.SettingsInvalid) as error:
        raise errors.InvalidRequest(str(error)) from error
    if executor is None:
        # What else is wrong with it is said first: it may be how `executor` was spelt.
        options.message_checked(specs.TaskSpec, {**document, "executor": _ANYBODY})
        raise errors.InvalidRequest(_who_could(home, how))
    added = {"executor": executor}
    if not document.get("profile") and executor == chosen.executor and chosen.profile is not None:
        added["profile"] = chosen.profile
    by = repository_file.PLACE.as_posix() if chosen.executor else home.settings.name
    return {**document, **added}, tuple(f"{name} {value}, of {by}" for name, value in added.items())


def _who_could(home: homes.Home, how: str) -> str:
    """What to say where nobody was chosen: who is there, or how somebody could be."""
    from local_daemon.executors import registry

    try:
        built = registry.registry_build(os.environ, settings.settings_read(home.settings))
    except settings.SettingsInvalid as error:
        raise errors.InvalidRequest(str(error)) from error
    found = asyncio.run(built.presences())
    here = [name for name, each in found.items() if each.is_available and registry.works_of_itself(name)]
    if here:
        return (
            f"Say who does it with {how} ({', '.join(here)}), or once for all with "
            "`ropeway init --executor NAME`; `ropeway doctor` tells more."
        )
    known = ", ".join(cli.name for cli in registry.CLIS)
    return (
        f"Nobody here works from a goal yet: none of {known} is on your PATH. Install one, log in to it, and run "
        "`ropeway init`. Until then `ropeway submit` applies a diff of your own with --patch, and shows how it goes "
        "with --executor fake-success."
    )


def text_read(file: BinaryIO) -> str:
    """The file as it is, line ends included, and the `MARK` that some editors put in front. Raises InvalidRequest,
    PayloadTooLarge."""
    content = file.read(limits.BODY_BYTES + 1)
    if len(content) > limits.BODY_BYTES:
        raise errors.PayloadTooLarge(f"{file.name}: longer than {limits.BODY_BYTES} bytes", limit=limits.BODY_BYTES)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise errors.InvalidRequest(f"{file.name}: not UTF-8 text") from None
