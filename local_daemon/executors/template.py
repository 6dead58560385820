"""Executors of the operator's own making: a command line in `daemon.toml`, its blanks filled from the task.

    [templates.formatter]
    command = ["ruff", "format", "{params.folder}"]
    params = {folder = "[a-z/]+"}

Arguments only: no shell sees them, a blank never becomes more than one argument, and what a task may put in one matches
the operator's pattern completely. Exit code 0 is success, the last line printed its summary. Called by the registry.
Tests: tests/unit/daemon/executors/test_template.py.
"""

import asyncio
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from local_daemon.executors import command_line, port, profiles, prompts, transcript
from local_daemon.processes import children
from local_daemon.protocol import states

PARAM_CHARACTERS = 1000
ARGUMENT_BYTES = 120 * 1024
"""The system takes no argument of 128 KiB or more."""

_BLANK = re.compile(r"\{([^{}]*)\}")
_PARAM = re.compile(r"params\.([a-z][a-z0-9_]{0,39})")


class TemplateInvalid(Exception):
    """The template in the settings can't be used; correct it and start the daemon again."""


class Input(StrEnum):
    """What the command reads on its standard input."""

    NOTHING = "nothing"  # it is empty
    PROMPT = "prompt"  # goal, constraints and the rest of the task, in words
    GOAL = "goal"  # the goal alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What the operator wrote. `params` maps what a task may fill in to patterns."""

    name: str
    command: tuple[str, ...]
    input: Input = Input.NOTHING
    params: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    environment: tuple[str, ...] = ()


class TemplateExecutor:
    """The command of one template."""

    def __init__(self, template: Template, *, search_path: str | None = None) -> None:
        """Raises TemplateInvalid."""
        self._template = template
        self._search_path = search_path
        self._patterns = {name: _pattern(template.name, name, text) for name, text in template.params.items()}
        if not template.command or _BLANK.search(template.command[0]):
            raise TemplateInvalid(f"templates.{template.name}: the command must begin with a program")
        for argument in template.command:
            for blank in _BLANK.findall(argument):
                self._require_known(blank)

    @property
    def name(self) -> str:
        """What a TaskSpec calls it."""
        return self._template.name

    @property
    def keys(self) -> tuple[str, ...]:
        """Whatever the operator passes on may be secret."""
        return self._template.environment

    @property
    def passed_names(self) -> tuple[str, ...]:
        """What the operator passes on, and nothing else."""
        return self._template.environment

    @property
    def budgets(self) -> port.Budgets:
        """Nobody knows what such a command uses."""
        return port.Budgets(tokens=states.BudgetHold.NEVER, cost_usd=states.BudgetHold.NEVER)

    @property
    def program(self) -> str:
        """What its command begins with."""
        return self._template.command[0]

    def program_find(self) -> str | None:
        """Where its command's program lies."""
        return shutil.which(self._template.command[0], path=self._search_path)

    async def availability(self) -> port.Availability:
        """Whether its program is there. Nobody knows how to ask it for more."""
        return await asyncio.to_thread(self.presence)

    def presence(self) -> port.Availability:
        """Whether its program is there."""
        if self.program_find() is None:
            reason = f"{self._template.command[0]} is not on the daemon's PATH"
            return port.Availability(status=port.AvailabilityStatus.MISSING, reason=reason)
        return port.Availability(status=port.AvailabilityStatus.AVAILABLE)

    def profile_check(self, profile: profiles.Profile) -> None:
        """A template says all there is to say about its command. Raises TaskUnsuitable."""
        if (profile.sandbox, profile.approval, profile.budget_usd, profile.program) != (None, None, None, None):
            raise port.TaskUnsuitable(f"{self.name} is a template: its profile may choose a model and environment only")

    def prepare(self, task: port.ExecutorTask) -> port.Launch:
        """The command with its blanks filled. Raises TaskUnsuitable."""
        program = self.program_find()
        if program is None:
            raise port.TaskUnsuitable(f"{self._template.command[0]} is not on the daemon's PATH")
        if task.profile is not None:
            self.profile_check(task.profile)
        prompt_path = task.scratch / command_line.PROMPT_NAME
        prompt = prompts.prompt_build(task, continues=False)
        values = {
            "goal": task.goal,
            "prompt": prompt,
            "prompt_file": str(prompt_path),
            "worktree": str(task.worktree),
            "model": (task.profile.model if task.profile else None) or "",
            **self._params(task.params),
        }
        arguments = (_filled(argument, values) for argument in self._template.command[1:])
        content = task.goal if self._template.input is Input.GOAL else prompt
        return port.Launch(
            argv=(program, *arguments),
            stdin=None if self._template.input is Input.NOTHING else prompt_path,
            files={prompt_path: content.encode(errors="replace")},
            passed_names=(*self.passed_names, *(task.profile.environment if task.profile else ())),
        )

    def interpret(
        self, status: children.ExitStatus, *, stdout: Path, stderr: Path, task: port.ExecutorTask
    ) -> port.ExecutorReport:
        """Its exit code, and the last lines it left."""
        if status.is_success:
            said = transcript.tail_read(stdout)
            questions = prompts.questions_find(said)
            outcome = port.Outcome.QUESTION if questions else port.Outcome.SUCCEEDED
            return port.ExecutorReport(outcome=outcome, questions=questions, summary=said.rpartition("\n")[2])
        said = transcript.tail_read(stderr) or transcript.tail_read(stdout)
        return port.ExecutorReport(
            outcome=port.Outcome.FAILED,
            cause=states.FailureCause.CRASHED,
            detail=f"{self._template.command[0]}: {status}" + (f": {said}" if said else ""),
        )

    def _require_known(self, blank: str) -> None:
        param = _PARAM.fullmatch(blank)
        if blank not in {"goal", "prompt", "prompt_file", "worktree", "model"} and (
            param is None or param[1] not in self._patterns
        ):
            raise TemplateInvalid(f"templates.{self.name}: nothing is known to fill {{{blank}}} with")

    def _params(self, given: Mapping[str, object]) -> dict[str, str]:
        unknown = set(given) - set(self._patterns)
        if unknown:
            raise port.TaskUnsuitable(f"params: {self.name} has no {', '.join(sorted(unknown))}")
        values = {}
        for name, pattern in self._patterns.items():
            value = given.get(name)
            if not isinstance(value, str) or len(value) > PARAM_CHARACTERS or not pattern.fullmatch(value):
                raise port.TaskUnsuitable(f"params.{name} must match {pattern.pattern}")
            values[f"params.{name}"] = value
        return values


def _filled(argument: str, values: Mapping[str, str]) -> str:
    filled = _BLANK.sub(lambda blank: values[blank[1]], argument)
    if "\x00" in filled:
        raise port.TaskUnsuitable("an argument can't hold a NUL character")
    if len(filled.encode(errors="replace")) > ARGUMENT_BYTES:
        raise port.TaskUnsuitable("the task is longer than an argument may be; let the template use {prompt_file}")
    if argument.startswith("{") and filled.startswith("-"):
        # What the operator wrote as an argument must not become an option of the program.
        raise port.TaskUnsuitable("an argument that a task fills in can't begin with a dash")
    return filled


def _pattern(template: str, name: str, text: str) -> re.Pattern[str]:
    if not _PARAM.fullmatch(f"params.{name}"):
        raise TemplateInvalid(f"templates.{template}.params: {name} is not a name")
    try:
        return re.compile(text)
    except re.error as error:
        raise TemplateInvalid(f"templates.{template}.params.{name}: {error}") from error
