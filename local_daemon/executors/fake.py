"""The `fake-*` executors: real child processes that behave as told, for trying a daemon without a model.

A fake is a shell script, so it costs two milliseconds and goes through latch, groups and files like any executor.
`params`: `files` {path: content} to write in the worktree, `sleep_s` to wait afterwards, `questions`, `detail`,
`ignore_term` (be deaf to SIGTERM), `usage`. Each start leaves a line in `starts` in scratch.
Tests: tests/unit/daemon/executors/test_fake.py.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from local_daemon.executors import port
from local_daemon.processes import children, ending, printed

STARTS_NAME = "starts"
_STDOUT_TAIL_BYTES = 256 * 1024
_FOREVER = "forever"
_USAGE_NAMES = frozenset(field.name for field in dataclasses.fields(port.Usage))

# Arguments: starts files, document, exit code, sleep, ignore TERM, then path and content in turn. What varies is never
# part of the script.
_SCRIPT = f"""
for starts in "$1" "$2"; do printf '%s\\n' "${ending.MARKER}" >>"$starts"; done
document=$3 code=$4 sleep_s=$5
[ "$6" = yes ] && trap '' TERM
shift 6
while [ $# -gt 0 ]; do
  case $1 in */*) mkdir -p "./${{1%/*}}" || exit 73 ;; esac
  printf '%s' "$2" >"./$1" || exit 73
  shift 2
done
case $sleep_s in
  0) ;;
  {_FOREVER}) sleep 86400 & while :; do sleep 86400; done ;;
  *) sleep "$sleep_s" ;;
esac
printf '%s\\n' "$document"
exit "$code"
"""


class Behaviour(StrEnum):
    """What a fake does."""

    SUCCESS = "fake-success"  # changes files and says so
    FAILURE = "fake-failure"  # says that it failed, and exits 1
    BLOCKER = "fake-blocker"  # asks; with an answer, writes it down and succeeds
    TIMEOUT = "fake-timeout"  # runs, with a child, until it is ended


class FakeExecutor:
    """A process that behaves as its name says."""

    def __init__(self, behaviour: Behaviour, *, starts_file: Path | None) -> None:
        self._behaviour = behaviour
        self._starts_file = starts_file

    @property
    def name(self) -> str:
        """What a TaskSpec calls it."""
        return self._behaviour.value

    async def availability(self) -> port.Availability:
        """Always there."""
        return port.Availability(status=port.AvailabilityStatus.AVAILABLE, version="1")

    def prepare(self, task: port.ExecutorTask) -> port.Launch:
        """The script with what the params ask for. Raises TaskUnsuitable."""
        files = _files(task)
        document: dict[str, Any] = {"outcome": port.Outcome.SUCCEEDED, "usage": _usage(task.params)}
        match self._behaviour:
            case Behaviour.SUCCESS:
                document["summary"] = "done as asked"
                files = files or {"fake-success.txt": f"{task.goal}\n"}
            case Behaviour.FAILURE:
                document |= {"outcome": port.Outcome.FAILED, "detail": _text(task.params, "detail", "failed as asked")}
            case Behaviour.BLOCKER if task.answer is None:
                document |= {"outcome": port.Outcome.QUESTION, "questions": _questions(task.params)}
            case Behaviour.BLOCKER:
                document["summary"] = "answered"
                files = {**files, "fake-blocker.txt": f"{task.answer}\n"}
        arguments = [argument for path, content in files.items() for argument in (path, content)]
        return port.Launch(
            argv=(
                "/bin/sh", "-c", _SCRIPT, self.name,
                str(task.scratch / STARTS_NAME), str(self._starts_file or os.devnull),
                json.dumps(document), "1" if self._behaviour is Behaviour.FAILURE else "0",
                _FOREVER if self._behaviour is Behaviour.TIMEOUT else _sleep_s(task.params),
                "yes" if task.params.get("ignore_term") else "no",
                *arguments,
            )
        )  # fmt: skip

    def interpret(
        self, status: children.ExitStatus, *, stdout: Path, stderr: Path, task: port.ExecutorTask
    ) -> port.ExecutorReport:
        """What the document on its last line says, if its exit code agrees."""
        document = _last_document(stdout)
        usage = port.Usage(**document.get("usage", {}))
        if status.is_success and document.get("outcome") == port.Outcome.SUCCEEDED:
            return port.ExecutorReport(outcome=port.Outcome.SUCCEEDED, summary=document["summary"], usage=usage)
        if status.is_success and document.get("outcome") == port.Outcome.QUESTION:
            return port.ExecutorReport(
                outcome=port.Outcome.QUESTION, questions=tuple(document["questions"]), usage=usage
            )
        return port.ExecutorReport(
            outcome=port.Outcome.FAILED, detail=document.get("detail", f"the fake {status}"), usage=usage
        )


def fakes_build(*, starts_file: Path | None) -> list[FakeExecutor]:
    """One fake for each behaviour; every start is also written to `starts_file`, if there is one."""
    return [FakeExecutor(behaviour, starts_file=starts_file) for behaviour in Behaviour]


def _files(task: port.ExecutorTask) -> dict[str, str]:
    files = task.params.get("files", {})
    if not isinstance(files, Mapping) or not all(isinstance(content, str) for content in files.values()):
        raise port.TaskUnsuitable("params.files must map paths to text")
    root = task.worktree.resolve()
    for path in files:
        parts = PurePosixPath(path).parts
        target = task.worktree / path
        # The second half stops a symbolic link of the repository from leading out of the worktree.
        is_inside = bool(parts) and not {"/", "..", ".git"} & set(parts) and not path.endswith("/")
        if not is_inside or target.is_symlink() or not target.parent.resolve().is_relative_to(root):
            raise port.TaskUnsuitable(f"params.files: not a path in the worktree: {path}")
    return dict(files)


def _text(params: Mapping[str, Any], name: str, default: str) -> str:
    value = params.get(name, default)
    if not isinstance(value, str):
        raise port.TaskUnsuitable(f"params.{name} must be text")
    return value


def _questions(params: Mapping[str, Any]) -> list[str]:
    questions = params.get("questions", ["Which way?"])
    if not isinstance(questions, list) or not questions or not all(isinstance(text, str) for text in questions):
        raise port.TaskUnsuitable("params.questions must be a list of texts")
    return questions


def _usage(params: Mapping[str, Any]) -> dict[str, Any]:
    usage = params.get("usage", {})
    if not isinstance(usage, Mapping) or not _USAGE_NAMES.issuperset(usage):
        raise port.TaskUnsuitable(f"params.usage may have {', '.join(sorted(_USAGE_NAMES))}")
    return dict(usage)


def _sleep_s(params: Mapping[str, Any]) -> str:
    sleep_s = params.get("sleep_s", 0)
    if isinstance(sleep_s, bool) or not isinstance(sleep_s, int | float) or not 0 <= sleep_s <= 86_400:
        raise port.TaskUnsuitable("params.sleep_s must be a number of seconds")
    return f"{sleep_s:g}"


def _last_document(stdout: Path) -> dict[str, Any]:
    with printed.printed_open(stdout) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _STDOUT_TAIL_BYTES))
        lines = file.read().splitlines()
    try:
        document = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}  # Its last line is something else: it ended before it could say how it went.
    return document if isinstance(document, dict) else {}
