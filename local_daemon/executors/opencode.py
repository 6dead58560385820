"""OpenCode, `opencode run`: its arguments and its stream.

Tried with `opencode-ai` 1.18. Sandbox and approval are its permissions, given over the environment; each step of its
model is billed by itself, and the last text is its answer. There is no last event: it has finished when a step stopped
by itself. A thread is continued in the directory it was begun in, wherever it is called from.
Tests: tests/integration/daemon/executors/, and with the CLI itself tests/executors/.
"""

import json

from local_daemon.executors import command_line, jsonl, port, transcript
from local_daemon.executors.profiles import Approval, Sandbox
from local_daemon.protocol.states import BudgetHold

_GOES_ON = frozenset({"tool-calls", "unknown"})
_OUTSIDE = {"external_directory": "deny"}


def _arguments(order: command_line.Order) -> tuple[str, ...]:
    model = () if order.model is None else ("--model", order.model)
    thread = () if order.thread_id is None else ("--session", order.thread_id)
    # While its model's service fails it tries again in silence; its log at least says so.
    log = ("--print-logs", "--log-level", "ERROR")
    return ("run", "--format", "json", *log, *order.access, *model, *thread)


def _permitting(**permissions: str) -> dict[str, str]:
    return {"OPENCODE_PERMISSION": json.dumps({**_OUTSIDE, **permissions})}


def _read(told: transcript.Transcript, document: jsonl.Document) -> None:
    told.thread_id = jsonl.word(document, "sessionID") or told.thread_id
    match document.get("type"):
        case "text":
            told.message = jsonl.text(document, "part", "text") or told.message
        case "step_start":
            told.is_finished = False
        case "step_finish":
            _step(told, document)
        case "error":
            told.fail(
                jsonl.text(document, "error", "data", "message") or jsonl.text(document, "error", "name"),
                status=jsonl.count(document, "error", "data", "statusCode"),
            )


def _step(told: transcript.Transcript, document: jsonl.Document) -> None:
    told.is_finished = jsonl.find(document, "part", "reason") not in _GOES_ON
    fresh = jsonl.count(document, "part", "tokens", "input")
    read = jsonl.count(document, "part", "tokens", "cache", "read")
    written = jsonl.count(document, "part", "tokens", "cache", "write")
    told.spend(
        input_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
        cached_input_tokens=read,
        output_tokens=jsonl.count(document, "part", "tokens", "output"),
        cost_usd=jsonl.amount(document, "part", "cost"),
    )


OPENCODE = command_line.Cli(
    name="opencode",
    program="opencode",
    version_minimum=(1, 0),
    accesses=(
        command_line.Access(
            sandbox=Sandbox.WORKSPACE, approval=Approval.EDITS, values=_permitting(edit="allow", bash="deny")
        ),
        command_line.Access(
            sandbox=Sandbox.READ_ONLY, approval=Approval.NEVER, values=_permitting(edit="deny", bash="deny")
        ),
        command_line.Access(
            sandbox=Sandbox.OFF,
            approval=Approval.NEVER,
            arguments=("--auto",),
            values=_permitting(edit="allow", bash="allow", external_directory="allow"),
        ),
    ),
    arguments=_arguments,
    read=_read,
    continues=command_line.Continues.IN_PLACE,
    budgets=port.Budgets(tokens=BudgetHold.LIVE, cost_usd=BudgetHold.LIVE),
    environment=(
        "OPENCODE_CONFIG", "OPENCODE_CONFIG_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME",
        "XDG_CACHE_HOME", "OPENCODE_DISABLE_MODELS_FETCH", "OPENCODE_DISABLE_LSP_DOWNLOAD",
    ),
    keys=("OPENCODE_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENROUTER_API_KEY", "GEMINI_API_KEY"),
    values={"OPENCODE_DISABLE_AUTOUPDATE": "1"},
)  # fmt: skip
