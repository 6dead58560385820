"""The executor `ide-chat`: a person changes the worktree, with whatever they like, and says that it is done.

The attempt's process only waits: it reads one word from a pipe that it makes in scratch, so it is recorded, timed and
cancelled like any other. `ropeway step folder` names the worktree and `ropeway step done` writes the word; both work on
this machine only. Tests: tests/integration/daemon/executors/test_person.py.
"""

import json
import os
from enum import StrEnum
from pathlib import Path

from local_daemon.executors import jsonl, port, prompts
from local_daemon.processes import children

NAME = "ide-chat"
FOLDER_NAME = "folder"
"""In scratch: where the person works."""

_PIPE_NAME = "said"
_TASK_NAME = "task.md"
_WORDS_BYTES_MAX = 4000  # A pipe takes no more in one piece.
_SCRIPT = 'mkfifo -m 600 "$1" && exec cat "$1"'


class NobodyWaits(Exception):
    """No attempt waits for a person here: it has not begun yet, has ended already, or runs on another machine."""


class Said(StrEnum):
    """What the person says of their work."""

    DONE = "done"  # it is there
    FAILED = "failed"  # it can't be done, or they won't
    ASKS = "asks"  # they need an answer first


class PersonExecutor:
    """Somebody at this machine."""

    name = NAME

    async def availability(self) -> port.Availability:
        """Somebody may be there."""
        return port.Availability(status=port.AvailabilityStatus.AVAILABLE)

    def prepare(self, task: port.ExecutorTask) -> port.Launch:
        """A process that waits. Raises TaskUnsuitable."""
        if task.params:
            raise port.TaskUnsuitable(f"{NAME} takes no params")
        return port.Launch(
            argv=("/bin/sh", "-c", _SCRIPT, NAME, str(task.scratch / _PIPE_NAME)),
            files={
                task.scratch / FOLDER_NAME: os.fsencode(task.worktree),
                task.scratch / _TASK_NAME: prompts.prompt_build(task, continues=False).encode(errors="replace"),
            },
        )

    def interpret(
        self, status: children.ExitStatus, *, stdout: Path, stderr: Path, task: port.ExecutorTask
    ) -> port.ExecutorReport:
        """What the person said."""
        said = next(jsonl.documents_read(stdout), {})
        words = jsonl.text(said, "words") or ""
        match said.get("said") if status.is_success else None:
            case Said.DONE:
                return port.ExecutorReport(outcome=port.Outcome.SUCCEEDED, summary=words)
            case Said.ASKS if words:
                return port.ExecutorReport(outcome=port.Outcome.QUESTION, questions=(words,))
            case Said.FAILED:
                return port.ExecutorReport(outcome=port.Outcome.FAILED, detail=words or "the person gave it up")
        return port.ExecutorReport(outcome=port.Outcome.FAILED, detail=f"nobody said what came of it: {status}")


def folder_find(scratch: Path) -> Path:
    """Where the person works whose attempt has this scratch directory. Raises NobodyWaits."""
    if not (scratch / _PIPE_NAME).exists():
        raise NobodyWaits
    return Path(os.fsdecode((scratch / FOLDER_NAME).read_bytes()))


def word_send(scratch: Path, said: Said, *, words: str) -> None:
    """Say it to the attempt that waits. Raises NobodyWaits, ValueError for too many words."""
    line = json.dumps({"said": said, "words": words}).encode() + b"\n"
    if len(line) > _WORDS_BYTES_MAX:
        raise ValueError("too many words; leave a file in the folder instead")
    try:
        # Without a reader this fails instead of waiting for one.
        pipe = os.open(scratch / _PIPE_NAME, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        raise NobodyWaits from error
    try:
        os.write(pipe, line)
    except BrokenPipeError as error:
        raise NobodyWaits from error
    finally:
        os.close(pipe)
