"""Google's Gemini CLI: its arguments and its stream.

Tried with `@google/gemini-cli` 0.61. It keeps its threads by the path of the directory they were begun in. A failed run
may exit with the status code of its model's service, or wait for a busy service longer than anybody would.
Tests: tests/integration/daemon/executors/, and with the CLI itself tests/executors/.
"""

import re

from local_daemon.executors import command_line, jsonl, port, transcript
from local_daemon.executors.profiles import Approval, Sandbox
from local_daemon.protocol.states import BudgetHold

_STATUS = re.compile(r'"code":\s*(\d{3})\b')


def _arguments(order: command_line.Order) -> tuple[str, ...]:
    model = () if order.model is None else ("-m", order.model)
    thread = () if order.thread_id is None else ("--resume", order.thread_id)
    # With an empty -p it does not open a screen and takes the prompt from standard input.
    return ("-p", "", "--output-format", "stream-json", *order.access, *model, *thread)


def _read(told: transcript.Transcript, document: jsonl.Document) -> None:
    match document.get("type"):
        case "init":
            told.thread_id = jsonl.word(document, "session_id")
            told.model(jsonl.word(document, "model"))
        case "message" if document.get("role") == "assistant":
            told.say(jsonl.find(document, "content"))
        case "tool_use":
            told.message = ""  # What it said before it used a tool was not its last word.
        case "error" if document.get("severity") != "warning":
            told.fail(jsonl.text(document, "message"))
        case "result":
            _result(told, document)


def _result(told: transcript.Transcript, document: jsonl.Document) -> None:
    told.is_finished = True
    told.spend(
        input_tokens=jsonl.count(document, "stats", "input_tokens"),
        cached_input_tokens=jsonl.count(document, "stats", "cached"),
        output_tokens=jsonl.count(document, "stats", "output_tokens"),
    )
    if document.get("status") != "success":
        said = jsonl.text(document, "error", "message")
        status = _STATUS.search(said or "")
        told.fail(said, status=int(status[1]) if status else None)


GEMINI = command_line.Cli(
    name="gemini",
    program="gemini",
    version_minimum=(0, 30),
    accesses=(
        command_line.Access(
            sandbox=Sandbox.WORKSPACE, approval=Approval.EDITS, arguments=("--approval-mode", "auto_edit")
        ),
        command_line.Access(
            sandbox=Sandbox.WORKSPACE, approval=Approval.NEVER, arguments=("--approval-mode", "yolo", "--sandbox")
        ),
        command_line.Access(
            sandbox=Sandbox.READ_ONLY, approval=Approval.NEVER, arguments=("--approval-mode", "plan")
        ),
        command_line.Access(sandbox=Sandbox.OFF, approval=Approval.NEVER, arguments=("--approval-mode", "yolo")),
    ),
    arguments=_arguments,
    read=_read,
    continues=command_line.Continues.IN_PLACE,
    budgets=port.Budgets(tokens=BudgetHold.END, cost_usd=BudgetHold.NEVER),
    environment=(
        "GOOGLE_GEMINI_BASE_URL", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_GENAI_USE_VERTEXAI",
        "GOOGLE_APPLICATION_CREDENTIALS", "GEMINI_MODEL", "GEMINI_SANDBOX",
    ),
    keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    # The worktree is new to it; that its operator's daemon made it is trust enough.
    values={"GEMINI_CLI_TRUST_WORKSPACE": "true"},
)  # fmt: skip
