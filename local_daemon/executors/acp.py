"""Any agent that speaks the Agent Client Protocol, as an executor: a command in `daemon.toml`.

    [agents.gemini-acp]
    command = ["gemini", "--acp"]

What the agent asks permission for becomes a question to the planner, unless the profile answers it; with `allow` the
thread goes on and may. The talk itself is `acp_client`, which is the attempt's process. Called by the registry.
Tests: tests/integration/daemon/executors/test_acp.py, and with real agents tests/executors/.
"""

import asyncio
import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from local_daemon.executors import command_line, jsonl, port, profiles, prompts, transcript
from local_daemon.processes import children
from local_daemon.protocol.states import BudgetHold, FailureCause

ORDER_NAME = "order.json"
_PERMISSION = "It asks for permission: {title}\n{named}Answer `allow`, or say what to do instead."
_PERMISSION_ASKED = re.compile(
    r"It asks for permission: (?P<title>.+)(?:\nRequest (?P<request>[0-9a-f]{24})(?=\n|\Z))?"
)
"""A question names its request, because its title is redacted; those of earlier releases have a title only."""
_YES = re.compile(r"\s*(allow|yes|ok)\b", re.IGNORECASE)
_AUTH_REQUIRED = -32000


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """What the operator wrote. The values of `environment` are taken for secret."""

    name: str
    command: tuple[str, ...]
    environment: tuple[str, ...] = ()


class AcpExecutor:
    """One agent."""

    def __init__(self, agent: Agent, *, search_path: str | None = None) -> None:
        self._agent = agent
        self._search_path = search_path

    @property
    def name(self) -> str:
        """What a TaskSpec calls it."""
        return self._agent.name

    @property
    def keys(self) -> tuple[str, ...]:
        """Whatever the operator passes on may be secret."""
        return self._agent.environment

    @property
    def passed_names(self) -> tuple[str, ...]:
        """The way to the network, and what the operator passes on."""
        return (*command_line.NETWORK_NAMES, *self._agent.environment)

    @property
    def budgets(self) -> port.Budgets:
        """The protocol tells the tokens at the end of a turn, and the dollars when the agent likes to."""
        return port.Budgets(tokens=BudgetHold.END, cost_usd=BudgetHold.LIVE)

    @property
    def program(self) -> str:
        """What its command begins with."""
        return self._agent.command[0]

    def program_find(self) -> str | None:
        """Where its command's program lies."""
        return shutil.which(self._agent.command[0], path=self._search_path)

    async def availability(self) -> port.Availability:
        """Whether its program is there."""
        return await asyncio.to_thread(self.presence)

    def presence(self) -> port.Availability:
        """The same: it costs nothing."""
        if self.program_find() is None:
            reason = f"{self._agent.command[0]} is not on the daemon's PATH"
            return port.Availability(status=port.AvailabilityStatus.MISSING, reason=reason)
        return port.Availability(status=port.AvailabilityStatus.AVAILABLE)

    def profile_check(self, profile: profiles.Profile) -> None:
        """The approval is ours to keep; anything else is the agent's own command's. Raises TaskUnsuitable."""
        if (profile.sandbox, profile.model, profile.budget_usd, profile.program) != (None, None, None, None):
            raise port.TaskUnsuitable(
                f"{self.name} is an agent: its profile may choose approval and environment, its command says the rest"
            )

    def prepare(self, task: port.ExecutorTask) -> port.Launch:
        """The talk with it, in a process of its own. Raises TaskUnsuitable."""
        program = self.program_find()
        there = self.presence()
        if program is None or there.status is not port.AvailabilityStatus.AVAILABLE:
            raise port.TaskUnsuitable(there.reason)
        if task.params:
            raise port.TaskUnsuitable(f"{self.name} takes no params")
        profile = task.profile or profiles.Profile(name=self.name, executor=self.name)
        self.profile_check(profile)
        order = task.scratch / ORDER_NAME
        document = {
            "prompt": prompts.prompt_build(task, continues=False),
            "follow_up": prompts.prompt_build(task, continues=True),
            "approval": profile.approval or profiles.Approval.ASK,
            "thread_id": _thread_id(task),
            "key": None if task.key is None else task.key.hex(),
            **_granted(task),
        }
        # Isolated: the worktree it starts in must not be able to put modules in its way.
        talk = (sys.executable, "-I", "-m", "local_daemon.executors.acp_client")
        return port.Launch(
            argv=(*talk, str(order), program, *self._agent.command[1:]),
            files={order: json.dumps(document).encode()},
            passed_names=(*self.passed_names, *profile.environment),
        )

    def interpret(
        self, status: children.ExitStatus, *, stdout: Path, stderr: Path, task: port.ExecutorTask
    ) -> port.ExecutorReport:
        """What the talk came to."""
        told = transcript.Transcript()
        for document in jsonl.documents_read(stdout):
            _read(told, document)
        return transcript.report_build(told, status, stderr=stderr)

    def reading(self, task: port.ExecutorTask) -> transcript.Reading:
        """The talk, to be read as it comes."""
        return transcript.Reading(_read)


def _thread_id(task: port.ExecutorTask) -> str | None:
    """The thread to go on with. By the protocol it may do so anywhere; agents were seen to work where they began, or
    to fail where that place is gone."""
    if task.thread is None or task.thread.worktree != task.worktree:
        return None
    return task.thread.thread_id


def _granted(task: port.ExecutorTask) -> dict[str, str | None]:
    """What the answer allows, if it was permission that was asked for."""
    asked = _PERMISSION_ASKED.search(task.question or "")
    if asked is None or not _YES.match(task.answer or ""):
        return {"granted": None, "granted_request": None}
    return {"granted": asked["title"], "granted_request": asked["request"]}


def _read(told: transcript.Transcript, document: jsonl.Document) -> None:
    match document.get("type"):
        case "thread":
            told.thread_id = jsonl.word(document, "thread_id")
        case "message":
            told.say(jsonl.find(document, "text"))
        case "tool":
            told.message = ""  # What it said before it used a tool was not its last word.
        case "cost":
            told.cost(jsonl.amount(document, "usd"))
        case "refused":
            told.refuse(jsonl.text(document, "title") or "a tool")
        case "asked":
            request = jsonl.word(document, "request")  # A talk that was begun without a key tells none.
            named = "" if request is None else f"Request {request}\n"
            told.ask(_PERMISSION.format(title=jsonl.text(document, "title"), named=named))
        case "failed":
            is_auth = document.get("code") == _AUTH_REQUIRED
            told.fail(jsonl.text(document, "message"), cause=FailureCause.AUTH if is_auth else None)
        case "finished":
            _finish(told, document)


def _finish(told: transcript.Transcript, document: jsonl.Document) -> None:
    told.is_finished = True
    told.spend(
        input_tokens=jsonl.count(document, "usage", "input_tokens"),
        cached_input_tokens=jsonl.count(document, "usage", "cached_read_tokens"),
        output_tokens=jsonl.count(document, "usage", "output_tokens"),
    )
    reason = document.get("stop_reason")
    if reason != "end_turn" and not (reason == "cancelled" and told.questions):
        refused = FailureCause.REFUSED if reason == "refusal" else None
        told.fail(f"it stopped early: {reason}", cause=refused)
