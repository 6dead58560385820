"""How four model APIs say the same two things: run this command, and here is my last word.

A dialect reads from a request whether a tool was just run and which shell tool is offered, and writes the answer as the
server-sent events a client of that API expects. It knows nothing of scripts or sockets (`model_server`).
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

INPUT_TOKENS = 100
CACHED_TOKENS = 40  # of the input
OUTPUT_TOKENS = 20

Body = Mapping[str, Any]
Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """How a CLI's own shell tool is called."""

    tool: str
    arguments: Callable[[str], dict[str, Any]]


SHELLS = (
    Shell(tool="Bash", arguments=lambda command: {"command": command, "description": "run it"}),
    Shell(tool="bash", arguments=lambda command: {"command": command, "description": "run it"}),
    Shell(tool="exec_command", arguments=lambda command: {"cmd": command}),
    Shell(tool="shell_command", arguments=lambda command: {"command": command}),
    Shell(tool="shell", arguments=lambda command: {"command": ["bash", "-lc", command]}),
    Shell(
        tool="run_shell_command",
        arguments=lambda command: {"command": command, "description": "run it", "is_background": False},
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call the model makes. No two in a thread have the same number, as no two of a real model have."""

    tool: str
    arguments: dict[str, Any]
    number: int


Say = Call | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One API: where it is asked, how its requests are read and its answers written."""

    name: str
    path_holds: str
    tools: Callable[[Body], Iterable[str]]
    has_result: Callable[[Body], bool]  # whether the newest message is a tool's result
    answer: Callable[[Body, Say], dict[str, Any]]  # not streamed
    events: Callable[[Body, Say], list[Event]]
    is_named: bool = False  # each event says its type on a line of its own
    is_terminated: bool = False  # `[DONE]` at the end
    error: Callable[[int, str], dict[str, Any]] = lambda status, message: {
        "error": {"type": "error", "code": status, "message": message, "status": "ERROR"}
    }

    def shell(self, body: Body) -> Shell | None:
        """The shell tool the client offers."""
        offered = set(self.tools(body))
        return next((shell for shell in SHELLS if shell.tool in offered), None)


# ── Anthropic messages ──


def _blocks(message: Body) -> list[Body]:
    content = message.get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _messages_result(body: Body) -> bool:
    return any(block.get("type") == "tool_result" for block in _blocks(body["messages"][-1]))


_MESSAGES_USAGE = {
    "input_tokens": INPUT_TOKENS - CACHED_TOKENS,
    "cache_read_input_tokens": CACHED_TOKENS,
    "cache_creation_input_tokens": 0,
    "output_tokens": OUTPUT_TOKENS,
}


def _messages_answer(body: Body, say: Say) -> dict[str, Any]:
    block: Event = {"type": "text", "text": say} if isinstance(say, str) else {
        "type": "tool_use", "id": f"toolu_{say.number}", "name": say.tool, "input": say.arguments,
    }  # fmt: skip
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": [block],
        "stop_reason": "end_turn" if isinstance(say, str) else "tool_use",
        "stop_sequence": None,
        "usage": _MESSAGES_USAGE,
    }


def _messages_events(body: Body, say: Say) -> list[Event]:
    whole = _messages_answer(body, say)
    if isinstance(say, str):
        begun: Event = {"type": "text", "text": ""}
        delta: Event = {"type": "text_delta", "text": say}
    else:
        begun = {"type": "tool_use", "id": f"toolu_{say.number}", "name": say.tool, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(say.arguments)}
    return [
        {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": begun},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": whole["stop_reason"], "stop_sequence": None},
            "usage": {"output_tokens": OUTPUT_TOKENS},
        },
        {"type": "message_stop"},
    ]


MESSAGES = Dialect(
    name="messages",
    path_holds="/messages",
    tools=lambda body: [tool.get("name", "") for tool in body.get("tools") or ()],
    has_result=_messages_result,
    answer=_messages_answer,
    events=_messages_events,
    is_named=True,
    error=lambda status, message: {
        "type": "error",
        "error": {"type": {401: "authentication_error"}.get(status, "api_error"), "message": message},
    },
)

# ── OpenAI responses ──


def _responses_result(body: Body) -> bool:
    items = [item for item in body.get("input", ()) if isinstance(item, dict)]
    return bool(items) and str(items[-1].get("type", "")).endswith("call_output")


def _responses_answer(body: Body, say: Say) -> dict[str, Any]:
    if isinstance(say, str):
        content = [{"type": "output_text", "text": say, "annotations": []}]
        item: Event = {"type": "message", "id": "msg_1", "role": "assistant", "content": content}
    else:
        item = {
            "type": "function_call", "id": f"fc_{say.number}", "call_id": f"call_{say.number}", "name": say.tool,
            "arguments": json.dumps(say.arguments),
        }  # fmt: skip
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 0,
        "model": body.get("model"),
        "status": "completed",
        "output": [item],
        "usage": {
            "input_tokens": INPUT_TOKENS,
            "input_tokens_details": {"cached_tokens": CACHED_TOKENS},
            "output_tokens": OUTPUT_TOKENS,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        },
    }


def _responses_events(body: Body, say: Say) -> list[Event]:
    whole = _responses_answer(body, say)
    item = whole["output"][0]
    return [
        {"type": "response.created", "response": {**whole, "status": "in_progress", "output": [], "usage": None}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]


RESPONSES = Dialect(
    name="responses",
    path_holds="/responses",
    tools=lambda body: [str(tool.get("name") or tool.get("type")) for tool in body.get("tools") or ()],
    has_result=_responses_result,
    answer=_responses_answer,
    events=_responses_events,
    is_named=True,
)

# ── OpenAI chat completions ──

_CHAT_USAGE = {
    "prompt_tokens": INPUT_TOKENS,
    "completion_tokens": OUTPUT_TOKENS,
    "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
    "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS},
}


def _chat_message(say: Say) -> Event:
    if isinstance(say, str):
        return {"role": "assistant", "content": say}
    function = {"name": say.tool, "arguments": json.dumps(say.arguments)}
    call = {"index": 0, "id": f"call_{say.number}", "type": "function", "function": function}
    return {"role": "assistant", "tool_calls": [call]}


def _chat_base(body: Body, kind: str) -> Event:
    return {"id": "chat_1", "object": kind, "created": 0, "model": body.get("model")}


def _chat_answer(body: Body, say: Say) -> dict[str, Any]:
    reason = "stop" if isinstance(say, str) else "tool_calls"
    choice = {"index": 0, "message": _chat_message(say), "finish_reason": reason}
    return {**_chat_base(body, "chat.completion"), "choices": [choice], "usage": _CHAT_USAGE}


def _chat_events(body: Body, say: Say) -> list[Event]:
    base = _chat_base(body, "chat.completion.chunk")
    reason = "stop" if isinstance(say, str) else "tool_calls"
    return [
        {**base, "choices": [{"index": 0, "delta": _chat_message(say), "finish_reason": None}]},
        {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": _CHAT_USAGE},
    ]


CHAT = Dialect(
    name="chat",
    path_holds="/chat/completions",
    tools=lambda body: [tool["function"]["name"] for tool in body.get("tools") or ()],
    has_result=lambda body: body["messages"][-1].get("role") == "tool",
    answer=_chat_answer,
    events=_chat_events,
    is_terminated=True,
)

# ── Gemini generateContent ──


def _gemini_result(body: Body) -> bool:
    parts = body["contents"][-1].get("parts", ()) if body.get("contents") else ()
    return any("functionResponse" in part for part in parts)


def _gemini_answer(body: Body, say: Say) -> dict[str, Any]:
    config = body.get("generationConfig") or {}
    if config.get("responseMimeType") == "application/json":
        # Not the work itself but a question of the CLI's own: how hard is this, who speaks next.
        say = json.dumps({"complexity_score": 10, "complexity_reasoning": "", "model_choice": "flash", "reasoning": ""})
    part = {"text": say} if isinstance(say, str) else {"functionCall": {"name": say.tool, "args": say.arguments}}
    return {
        "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": INPUT_TOKENS,
            "cachedContentTokenCount": CACHED_TOKENS,
            "candidatesTokenCount": OUTPUT_TOKENS,
            "totalTokenCount": INPUT_TOKENS + OUTPUT_TOKENS,
        },
        "modelVersion": "scripted",
    }


GEMINI = Dialect(
    name="gemini",
    path_holds="enerateContent",
    tools=lambda body: [
        function["name"] for tool in body.get("tools") or () for function in tool.get("functionDeclarations", ())
    ],
    has_result=_gemini_result,
    answer=_gemini_answer,
    events=lambda body, say: [_gemini_answer(body, say)],
)

DIALECTS = (MESSAGES, RESPONSES, CHAT, GEMINI)
