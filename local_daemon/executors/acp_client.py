"""The process of an attempt whose executor speaks the Agent Client Protocol: it starts the agent and talks with it.

    python -I -m local_daemon.executors.acp_client ORDER AGENT…

One prompt, one turn; what happens is printed as lines of JSON, which `acp` reads like any CLI's stream. The agent gets
no file access and no terminals from us: it has its own, and asks for permission, which is answered as the order says.
Deliberately a program of its own: an attempt is one recorded process that may outlive the daemon.
Tests: tests/integration/daemon/executors/test_acp.py.
"""

import asyncio
import hmac
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_daemon.executors import light_models
from local_daemon.executors.profiles import Approval
from local_daemon.processes import children, piped
from local_daemon.protocol import version

with light_models.models_lightened():  # Building all of them took more CPU than the rest of a short attempt.
    import acp
    from acp import schema

_EDITING = frozenset({"read", "edit", "delete", "move", "search", "think"})
_ALLOWS = ("allow_once", "allow_always")
_REJECTS = ("reject_once", "reject_always")
_TITLE_CHARACTERS = 300
_REQUEST_BYTES = 12
_HANGS_UP_WITHIN_S = 5.0
"""How long one that has closed its output may take to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the attempt asks for. What a person has allowed meanwhile is known by its `granted_request`, made with the
    step's `key`; where it was asked without one, by its title, `granted`."""

    prompt: str
    follow_up: str
    approval: Approval
    thread_id: str | None
    granted: str | None
    granted_request: str | None
    key: bytes | None


class AgentEnded(Exception):
    """The agent ended in the middle of the talk."""


class Visitor:
    """Our side of the talk: takes note of what the agent does and answers what it asks."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._is_at_work = False
        self._agent: Any = None

    def on_connect(self, conn: Any) -> None:
        """The agent can be spoken to."""
        self._agent = conn

    def begin(self) -> None:
        """From now on what the agent tells is about this turn; before, it repeated an earlier one."""
        self._is_at_work = True

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        """Something happened."""
        if not self._is_at_work:
            return
        match update:
            case schema.AgentMessageChunk(content=schema.TextContentBlock(text=text)):
                _tell(type="message", text=text)
            case schema.ToolCallStart() | schema.ToolCallProgress():
                _tell(type="tool", id=update.tool_call_id, title=update.title, kind=update.kind, status=update.status)
            case schema.UsageUpdate(cost=schema.Cost(amount=amount, currency="USD")):
                _tell(type="cost", usd=amount)

    async def request_permission(
        self, session_id: str, tool_call: Any, options: list[Any], **_: Any
    ) -> schema.RequestPermissionResponse:
        """May it? As the profile says, and as a person has said since."""
        asked = " ".join((tool_call.title or tool_call.kind or "something").split())
        title = asked[:_TITLE_CHARACTERS]
        is_allowed = self._order.approval is Approval.NEVER or _is_granted(self._order, asked)
        if is_allowed or (self._order.approval is Approval.EDITS and tool_call.kind in _EDITING):
            return _answer(options, _ALLOWS)
        if self._order.approval is Approval.EDITS:
            _tell(type="refused", title=title)
            return _answer(options, _REJECTS)
        _tell(type="asked", title=title, request=_request(self._order, asked))
        await self._agent.cancel(session_id=session_id)
        return _answer(options, ())


def main(argv: Sequence[str]) -> int:
    """Carry out the order. The exit code says whether the talk came to an end at all."""
    order = _order_read(Path(argv[1]))
    try:
        asyncio.run(_carry_out(order, argv[2:]))
    except (AgentEnded, children.LaunchFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except acp.RequestError as error:
        _tell(type="failed", message=_said(error), code=error.code)
        return 1
    return 0


def _order_read(path: Path) -> Order:
    given = json.loads(path.read_text(encoding="utf-8"))
    return Order(
        prompt=given["prompt"],
        follow_up=given["follow_up"],
        approval=Approval(given["approval"]),
        thread_id=given["thread_id"],
        granted=given["granted"],
        # A daemon that began before its update writes neither.
        granted_request=given.get("granted_request"),
        key=bytes.fromhex(given["key"]) if given.get("key") else None,
    )


async def _carry_out(order: Order, argv: Sequence[str]) -> None:
    async with piped.child_piped(argv, cwd=Path.cwd(), env=os.environ) as agent:
        talking = asyncio.create_task(_talk(order, agent), name="talk")
        ending = asyncio.create_task(agent.ended(), name="agent's end")
        try:
            await asyncio.wait((talking, ending), return_when=asyncio.FIRST_COMPLETED)
            if not talking.done():
                raise AgentEnded(f"the agent ended in the middle: {ending.result()}")
            try:
                await talking
            except ConnectionError:
                if agent.stdout.said_too_much:
                    raise AgentEnded(f"the agent said more than {piped.LINE_BYTES} bytes in one line") from None
                # Its output is closed a moment before its end can be seen; neither is the network's fault.
                agent.stdin.close()
                raise AgentEnded(await _how(ending)) from None
        finally:
            for task in (talking, ending):
                task.cancel()
            await asyncio.gather(talking, ending, return_exceptions=True)


async def _how(ending: "asyncio.Task[children.ExitStatus]") -> str:
    """How an agent ended that has hung up, or that it stays all the same."""
    has_ended, _ = await asyncio.wait((ending,), timeout=_HANGS_UP_WITHIN_S)
    if has_ended:
        return f"the agent ended in the middle: {ending.result()}"
    return "the agent closed its output in the middle"


async def _talk(order: Order, agent: piped.Piped) -> None:
    visitor = Visitor(order)
    connection = acp.connect_to_agent(visitor, agent.stdin, agent.stdout)  # type: ignore[arg-type]
    try:
        hello = await connection.initialize(
            protocol_version=acp.PROTOCOL_VERSION,
            client_capabilities=schema.ClientCapabilities(),
            client_info=schema.Implementation(name="ropeway", version=version.__version__),
        )
        can_load = bool(hello.agent_capabilities and hello.agent_capabilities.load_session)
        thread_id = await _thread_go_on(connection, order) if can_load else None
        prompt = order.follow_up
        if thread_id is None:
            thread_id = (await connection.new_session(cwd=str(Path.cwd()), mcp_servers=[])).session_id
            prompt = order.prompt
        _tell(type="thread", thread_id=thread_id, agent=None if hello.agent_info is None else hello.agent_info.name)
        visitor.begin()
        done = await connection.prompt(session_id=thread_id, prompt=[acp.text_block(prompt)])
        usage = None if done.usage is None else done.usage.model_dump(mode="json")
        _tell(type="finished", stop_reason=done.stop_reason, usage=usage)
    finally:
        await connection.close()


async def _thread_go_on(connection: Any, order: Order) -> str | None:
    if order.thread_id is None:
        return None
    try:
        await connection.load_session(cwd=str(Path.cwd()), session_id=order.thread_id, mcp_servers=[])
    except acp.RequestError:
        return None  # It does not know the thread any more: a new one is told what was asked and answered.
    return order.thread_id


def _is_granted(order: Order, asked: str) -> bool:
    if order.granted_request is None:
        return asked[:_TITLE_CHARACTERS] == order.granted
    return hmac.compare_digest(_request(order, asked) or "", order.granted_request)


def _request(order: Order, asked: str) -> str | None:
    """What is asked, all of it, as it can be shown: a title may hold a secret, which is redacted in the question and
    must not be guessed from this. Without the key nobody can try."""
    if order.key is None:
        return None
    return hmac.digest(order.key, asked.encode("utf-8", errors="surrogatepass"), "sha256")[:_REQUEST_BYTES].hex()


def _answer(options: list[Any], kinds: Sequence[str]) -> schema.RequestPermissionResponse:
    chosen = next((option for kind in kinds for option in options if option.kind == kind), None)
    if chosen is None:
        return schema.RequestPermissionResponse(outcome=schema.DeniedOutcome(outcome="cancelled"))
    return schema.RequestPermissionResponse(
        outcome=schema.AllowedOutcome(outcome="selected", option_id=chosen.option_id)
    )


def _said(error: acp.RequestError) -> str:
    detail = error.data.get("details") if isinstance(error.data, dict) else error.data
    return f"{error}: {detail}" if detail else str(error)


def _tell(**document: Any) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv))
