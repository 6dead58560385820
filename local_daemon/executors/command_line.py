"""A CLI that works on its own from a prompt, as an executor: one class for all of them, told apart by a table.

An adapter module describes its CLI as a `Cli`: the arguments for each combination of sandbox and approval, the names of
the environment it needs, how its stream is read. Everything else happens here, the same way for each.
Deliberately gives no CLI a home of its own: it runs with the operator's login, and keeps its threads where the operator
would look for them. Called by the registry. Tests: tests/integration/daemon/executors/.
"""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from local_daemon.config import plain_files, settings
from local_daemon.executors import jsonl, port, probes, profiles, prompts, transcript
from local_daemon.processes import children
from local_daemon.protocol import states

NETWORK_NAMES = (
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
)  # fmt: skip
"""How the operator's network is reached: every CLI that talks to a model needs it."""

PROMPT_NAME = "prompt.md"
MODEL_NAME = "model"
"""In scratch: the prompt, and the model that was asked for, because not every stream tells which one it was."""

_MODEL_BYTES_MAX = 1024
_MODEL = re.compile(settings.MODEL_PATTERN)
_THREAD_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


class Continues(StrEnum):
    """Where a CLI finds a thread again."""

    ANYWHERE = "anywhere"  # in any directory of this machine
    IN_PLACE = "in place"  # in the directory it was begun in, under the same path


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a CLI is told to keep one combination of sandbox and approval."""

    sandbox: profiles.Sandbox
    approval: profiles.Approval
    arguments: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the arguments are made of. `thread_id` is the thread to continue."""

    access: tuple[str, ...]
    worktree: Path
    model: str | None
    budget_usd: float | None
    thread_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cli:
    """One CLI. The first of `accesses` is its default; `keys` are those of its environment that no log may show."""

    name: str
    program: str
    version_minimum: tuple[int, ...]
    accesses: tuple[Access, ...]
    arguments: Callable[[Order], tuple[str, ...]]
    read: Callable[[transcript.Transcript, jsonl.Document], None]
    continues: Continues
    budgets: port.Budgets
    environment: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    login_check: tuple[str, ...] | None = None  # arguments that exit 0 when it is logged in
    login_hint: str = ""
    counts_thread: frozenset[str] = frozenset()  # the usage it reports for the whole thread, not for the run

    @property
    def holds_budget(self) -> bool:
        """Whether it is told a budget in dollars, and stops by itself."""
        return self.budgets.cost_usd is states.BudgetHold.ITSELF


class CliExecutor:
    """A CLI that changes a worktree as its prompt says."""

    def __init__(self, cli: Cli, *, search_path: str | None = None) -> None:
        """`search_path` is where its program is looked for; None: the daemon's PATH."""
        self._cli = cli
        self._search_path = search_path
        self._probe = self._probe_of(cli.program)
        self._doubt = ""
        self._other_probes: dict[str, probes.VersionProbe] = {}

    @property
    def name(self) -> str:
        """What a TaskSpec calls it."""
        return self._cli.name

    @property
    def keys(self) -> tuple[str, ...]:
        """The environment names it is given whose values are secret."""
        return self._cli.keys

    @property
    def passed_names(self) -> tuple[str, ...]:
        """The way to the network, its settings and its keys."""
        return (*NETWORK_NAMES, *self._cli.environment, *self._cli.keys)

    @property
    def budgets(self) -> port.Budgets:
        """As its stream tells what it uses."""
        return self._cli.budgets

    @property
    def program(self) -> str:
        """The CLI's name on a PATH."""
        return self._cli.program

    def program_find(self) -> str | None:
        """Where the CLI lies."""
        return self._probe.find()

    async def availability(self) -> port.Availability:
        """Whether its program answers in a version new enough, and a doubt where it does not seem logged in."""
        found = await self._probe.availability()
        check = self._cli.login_check
        if not found.is_available or check is None:
            return found
        is_logged_in = await self._probe.exits_well(*check, passed_names=self.passed_names)
        self._doubt = "" if is_logged_in else f"no login found; {self._cli.login_hint}"
        return replace(found, reason=self._doubt)

    def presence(self) -> port.Availability:
        """Whether its program is there, and what is remembered of it."""
        found = self._probe.presence()
        return replace(found, reason=self._doubt) if found.is_available and found.is_asked else found

    async def version(self, profile: profiles.Profile | None) -> str | None:
        """What the program tells that runs with this profile; None where it does not."""
        return (await self._probe_for(profile).availability()).version

    def version_seen(self, profile: profiles.Profile | None) -> str | None:
        """The same, if it was asked before; starts nothing."""
        return self._probe_for(profile).presence().version

    def profile_check(self, profile: profiles.Profile) -> None:
        """Whether the profile can be kept. Raises TaskUnsuitable."""
        self._access(profile)
        if profile.budget_usd is not None and not self._cli.holds_budget:
            raise port.TaskUnsuitable(f"{self.name} can't hold a budget in dollars; leave it out of the profile")

    def prepare(self, task: port.ExecutorTask) -> port.Launch:
        """The command line for this task and profile, its prompt on standard input. Raises TaskUnsuitable."""
        cli = self._cli
        profile = task.profile or profiles.Profile(name=cli.name, executor=cli.name)
        self.profile_check(profile)
        access = self._access(profile)
        thread = self._thread(task)
        order = Order(
            access=access.arguments,
            worktree=task.worktree,
            model=_model(task, profile),
            budget_usd=self._budget_usd(task, profile, thread),
            thread_id=None if thread is None else thread.thread_id,
        )
        prompt = task.scratch / PROMPT_NAME
        return port.Launch(
            argv=(self._program(profile), *cli.arguments(order)),
            stdin=prompt,
            files={
                prompt: prompts.prompt_build(task, continues=thread is not None).encode(errors="replace"),
                task.scratch / MODEL_NAME: (order.model or "").encode(),
            },
            passed_names=(*self.passed_names, *profile.environment),
            values={**cli.values, **access.values},
        )

    def interpret(
        self, status: children.ExitStatus, *, stdout: Path, stderr: Path, task: port.ExecutorTask
    ) -> port.ExecutorReport:
        """What its stream and its exit code say together."""
        reading = self.reading(task)
        told = reading.told
        for document in jsonl.documents_read(stdout):
            self._cli.read(told, document)
        if told.usage.model is None:
            told.model(_model_asked_for(task.scratch))
        told.usage = reading.usage
        return transcript.report_build(told, status, stderr=stderr)

    def reading(self, task: port.ExecutorTask) -> transcript.Reading:
        """Its stream, to be read as it comes."""
        thread = self._thread(task)
        return transcript.Reading(
            self._cli.read,
            counts_thread=self._cli.counts_thread,
            before=None if thread is None else thread.usage,
        )

    def _probe_for(self, profile: profiles.Profile | None) -> probes.VersionProbe:
        if profile is None or profile.program is None:
            return self._probe
        return self._other_probes.setdefault(profile.program, self._probe_of(profile.program))

    def _probe_of(self, program: str) -> probes.VersionProbe:
        return probes.VersionProbe(
            program, "--version", minimum=self._cli.version_minimum, search_path=self._search_path
        )

    def _access(self, profile: profiles.Profile) -> Access:
        for access in self._cli.accesses:
            if profile.sandbox in (None, access.sandbox) and profile.approval in (None, access.approval):
                return access
        offered = ", ".join(f"{access.sandbox}/{access.approval}" for access in self._cli.accesses)
        wanted = f"{profile.sandbox or 'any'}/{profile.approval or 'any'}"
        raise port.TaskUnsuitable(f"{self.name} can't keep sandbox/approval {wanted}; it can keep {offered}")

    def _thread(self, task: port.ExecutorTask) -> port.Thread | None:
        """The thread this run continues: the one before, unless this CLI would not find it here."""
        thread = task.thread
        if thread is None or not _THREAD_ID.fullmatch(thread.thread_id):
            return None
        is_found = self._cli.continues is Continues.ANYWHERE or thread.worktree == task.worktree
        return thread if is_found else None

    def _budget_usd(
        self, task: port.ExecutorTask, profile: profiles.Profile, thread: port.Thread | None
    ) -> float | None:
        """What the CLI is told to keep to: the least of what it may spend, on top of what its thread has cost."""
        limits = [limit for limit in (profile.budget_usd, task.budget_usd) if limit is not None]
        if not limits or not self._cli.holds_budget:
            return None
        counts_all = thread is not None and "cost_usd" in self._cli.counts_thread
        return min(limits) + ((thread.usage.cost_usd or 0) if thread is not None and counts_all else 0)

    def _program(self, profile: profiles.Profile) -> str:
        wanted = profile.program or self._cli.program
        path = shutil.which(wanted, path=self._search_path)
        if path is None:
            raise port.TaskUnsuitable(f"{self._cli.program} is not installed, or not on the daemon's PATH")
        return path


def _model_asked_for(scratch: Path) -> str | None:
    try:
        content = plain_files.plain_read(scratch / MODEL_NAME, bytes_max=_MODEL_BYTES_MAX)
    except (FileNotFoundError, plain_files.NotPlain):
        return None  # The CLI could reach it.
    return content.decode("utf-8", errors="replace") or None


def _model(task: port.ExecutorTask, profile: profiles.Profile) -> str | None:
    unknown = set(task.params) - {"model"}
    if unknown:
        raise port.TaskUnsuitable(f"params may have `model` only, not {', '.join(sorted(unknown))}")
    model = task.params.get("model", profile.model)
    if model is not None and not (isinstance(model, str) and _MODEL.fullmatch(model)):
        raise port.TaskUnsuitable("params.model must be a model's name")
    return model
