"""What a CLI's model is told: the task, how to work here, and how to ask.

One wording for all of them, because a task must not mean something else for another executor. A CLI without anybody at
its keyboard can't ask; so its model is told to end with lines that begin with `QUESTION:`, and they are found again in
its last message. Called by `command_line` and `acp`. Tests: tests/unit/daemon/executors/test_prompts.py.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

from local_daemon.executors import port

QUESTIONS_MAX = 10
_ASKS = "QUESTION:"
_BEFORE = frozenset(">*_#-")
_AROUND = " \t\r\f\v\u00a0*_"
_RULES = """\
## How to work here
Work in the current directory only; it is a git worktree made for this task. Leave your changes uncommitted: they are
recorded when you end. Nobody is there to answer while you work. Where the task leaves something open that you can
reasonably decide, decide it and say so at the end. Only if you can't go on without a decision, stop, and end your last
message with one line for each question, beginning with `QUESTION:`.
"""


def prompt_build(task: port.ExecutorTask, *, continues: bool) -> str:
    """The whole prompt. A thread that `continues` knows the task already and is told what is new."""
    if continues:
        return _follow_up(task)
    return "\n\n".join(part.strip() for part in (task.goal, *_sections(task), _RULES)) + "\n"


def questions_find(message: str) -> tuple[str, ...]:
    """What the last message of a run asks. Each character is looked at once or twice, whatever the message is made of:
    a pattern that tries again would stand still at megabytes of blanks, and the daemon with it."""
    return tuple(islice(_questions(message), QUESTIONS_MAX))


def _questions(message: str) -> Iterator[str]:
    end = 0
    while (asks := message.find(_ASKS, end)) >= 0:
        begin = message.rfind("\n", end, asks) + 1 or end
        end = message.find("\n", asks)
        end = len(message) if end < 0 else end
        question = message[asks + len(_ASKS) : end].strip(_AROUND)
        is_first = all(character in _BEFORE or character.isspace() for character in message[begin:asks])
        if question and is_first:
            yield question


def _follow_up(task: port.ExecutorTask) -> str:
    if task.answer is None:
        return f"{task.goal.strip()}\n"
    return f"The answer to your question:\n\n{task.answer.strip()}\n\nGo on with the task; the same rules hold.\n"


def _sections(task: port.ExecutorTask) -> Iterator[str]:
    said = task.surroundings
    if said.context:
        yield f"## Context\n{said.context}"
    for title, lines in (
        ("Constraints", said.constraints),
        ("Done when", said.acceptance),
        ("Change nothing outside these paths", said.allowed_paths),
        ("Never change these paths", said.forbidden_paths),
    ):
        if lines:
            yield _listed(title, lines)
    if task.answer is not None:
        question = f"You asked:\n\n{task.question}\n\n" if task.question else ""
        yield f"## Asked and answered\n{question}The answer:\n\n{task.answer}"


def _listed(title: str, lines: Sequence[str]) -> str:
    return "\n".join((f"## {title}", *(f"- {line}" for line in lines)))
