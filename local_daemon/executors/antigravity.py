r"""Antigravity, an IDE with an agent of its own, as an executor: reached through the broker that runs beside it.

    [antigravity]
    broker = "http://127.0.0.1:8088"
    paths = { "/mnt/c" = "C:", "/" = '\\wsl.localhost\Ubuntu' }    # how the IDE's machine calls these folders

The work is done elsewhere, by a program that the daemon can't end: it asks the broker to, and where the broker doesn't
say that the work has ended, neither do we. The talk is `antigravity_client`, which is the attempt's process. Called by
the registry. Tests: tests/integration/daemon/executors/test_antigravity.py, against a scripted broker only.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType

from local_daemon.executors import jsonl, port, profiles, prompts, transcript
from local_daemon.processes import children
from local_daemon.protocol.states import BudgetHold, FailureCause

NAME = "antigravity"
ORDER_NAME = "order.json"
_NO_BROKER = 'daemon.toml names no broker: [antigravity] broker = "http://127.0.0.1:8088"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where the operator's broker answers, and what its machine calls our folders (ours → theirs)."""

    url: str
    paths: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class AntigravityExecutor:
    """The agent in an IDE that is bound to the task's repository."""

    name = NAME
    keys: tuple[str, ...] = ()
    passed_names: tuple[str, ...] = ()

    def __init__(self, given: Broker | None) -> None:
        """None: the operator has named no broker."""
        self._broker = given
        self._seen: port.Availability | None = None

    async def availability(self) -> port.Availability:
        """Whether the broker answers. Whether an IDE is bound to a repository shows when a task begins."""
        if self._broker is None:
            return self.presence()
        self._seen = await asyncio.to_thread(_asked, self._broker.url)
        return self._seen

    def presence(self) -> port.Availability:
        """What the broker said when it was last asked."""
        if self._broker is None:
            return port.Availability(status=port.AvailabilityStatus.MISSING, reason=_NO_BROKER)
        return self._seen or port.Availability(
            status=port.AvailabilityStatus.AVAILABLE, reason="its broker has not been asked yet", is_asked=False
        )

    @property
    def budgets(self) -> port.Budgets:
        """The broker tells nothing of what the IDE's agent uses."""
        return port.Budgets(tokens=BudgetHold.NEVER, cost_usd=BudgetHold.NEVER)

    def program_find(self) -> str | None:
        """It has none: the IDE is asked through its broker."""
        return None

    def profile_check(self, profile: profiles.Profile) -> None:
        """What the IDE may do is said in the IDE. Raises TaskUnsuitable."""
        asked = (profile.sandbox, profile.approval, profile.model, profile.budget_usd, profile.program)
        if any(each is not None for each in asked) or profile.environment:
            raise port.TaskUnsuitable(f"{NAME} is set up in its IDE: a profile may choose stall_timeout_s only")

    def prepare(self, task: port.ExecutorTask) -> port.Launch:
        """The talk with the broker, in a process of its own. Raises TaskUnsuitable."""
        if self._broker is None:
            raise port.TaskUnsuitable(_NO_BROKER)
        if task.params:
            raise port.TaskUnsuitable(f"{NAME} takes no params")
        if task.profile is not None:
            self.profile_check(task.profile)
        order = task.scratch / ORDER_NAME
        repository = task.repository or task.worktree
        places = {str(path): path_translate(path, self._broker.paths) for path in (task.worktree, repository)}
        document = {
            "url": self._broker.url,
            "prompt": prompts.prompt_build(task, continues=False),
            "repo_root": places[str(repository)],
            "workspace_root": places[str(task.worktree)],
            "places": {theirs: ours for ours, theirs in places.items() if theirs != ours},
        }
        # Isolated: the worktree it starts in must not be able to put modules in its way.
        talk = (sys.executable, "-I", "-m", "local_daemon.executors.antigravity_client", str(order))
        return port.Launch(argv=talk, files={order: json.dumps(document).encode()})

    def interpret(
        self, status: children.ExitStatus, *, stdout: Path, stderr: Path, task: port.ExecutorTask
    ) -> port.ExecutorReport:
        """What the talk came to."""
        told = transcript.Transcript()
        for document in jsonl.documents_read(stdout):
            _read(told, document)
        return transcript.report_build(told, status, stderr=stderr)

    def is_over(self, *, stdout: Path) -> bool:
        """Whether nothing of the work goes on in the IDE, by the broker's own word."""
        is_over = True
        for document in jsonl.documents_read(stdout):
            match document.get("type"):
                case "asking" | "task":
                    is_over = False
                case "refused" | "unreachable" | "ended":
                    is_over = True
        return is_over


def path_translate(path: Path, paths: Mapping[str, str]) -> str:
    """What the broker's machine calls the folder: by the longest of our folders that it lies in."""
    ours = str(path)
    for begins, theirs in sorted(paths.items(), key=lambda item: len(item[0]), reverse=True):
        folder = begins.rstrip("/")
        if ours == folder or ours.startswith(f"{folder}/"):
            rest = ours[len(folder) :]
            return theirs.rstrip("\\/") + (rest.replace("/", "\\") if "\\" in theirs or theirs.endswith(":") else rest)
    return ours


def _asked(url: str) -> port.Availability:
    from local_daemon.client import broker  # noqa: PLC0415 - every daemon would load an HTTP client while it starts

    try:
        health = broker.ask(url, "GET", "/health")
        version = broker.ask(url, "GET", "/version")
    except broker.MISHAPS as error:
        reason = f"its broker does not answer: {broker.reason_of(error)}"
        return port.Availability(status=port.AvailabilityStatus.UNUSABLE, reason=reason)
    if health.status != HTTPStatus.OK:
        reason = f"its broker is not well: HTTP {health.status}"
        return port.Availability(status=port.AvailabilityStatus.UNUSABLE, reason=reason)
    return port.Availability(status=port.AvailabilityStatus.AVAILABLE, version=jsonl.text(version.document, "version"))


def _read(told: transcript.Transcript, document: jsonl.Document) -> None:
    match document.get("type"):
        case "task":
            told.thread_id = jsonl.word(document, "cascade_id")
        case "refused":
            told.fail(jsonl.text(document, "detail"), status=jsonl.count(document, "status"))
        case "unreachable":
            told.fail(jsonl.text(document, "detail"), cause=FailureCause.NETWORK)
        case "lost":
            told.fail(jsonl.text(document, "detail"), cause=FailureCause.SERVICE)
        case "trajectory":
            for step in jsonl.objects(document, "trajectory", "steps"):
                for item in jsonl.objects(step, "items"):
                    told.message = jsonl.text(item, "message", "text") or told.message
                    if error := jsonl.text(item, "error", "message"):
                        told.error = error
        case "ended":
            _end(told, document)


def _end(told: transcript.Transcript, document: jsonl.Document) -> None:
    state = jsonl.text(document, "state")
    said = jsonl.text(document, "summary")
    told.message = told.message or said or ""
    if state == "completed":
        told.error = None  # What went wrong on the way it has got over.
        told.is_finished = True
    elif state == "cancelled":
        told.fail("it was cancelled in the IDE", cause=FailureCause.REFUSED)
    else:
        told.fail(told.error or said or told.message or "the IDE's agent failed")
