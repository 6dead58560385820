"""Qwen Code: its arguments and its stream.

Tried with `@qwen-code/qwen-code` 0.24. It keeps its threads by the path of the directory they were begun in. Its result
counts the whole thread; so the tokens are added up from the model's answers instead.
Tests: tests/integration/daemon/executors/, and with the CLI itself tests/executors/.
"""

import re

from local_daemon.executors import command_line, jsonl, port, transcript
from local_daemon.executors.profiles import Approval, Sandbox
from local_daemon.protocol.states import BudgetHold

_STATUS = re.compile(r"API Error: (\d{3})\b")


def _arguments(order: command_line.Order) -> tuple[str, ...]:
    model = () if order.model is None else ("--model", order.model)
    thread = () if order.thread_id is None else ("--resume", order.thread_id)
    return ("--output-format", "stream-json", *order.access, *model, *thread)


def _read(told: transcript.Transcript, document: jsonl.Document) -> None:
    told.thread_id = jsonl.word(document, "session_id") or told.thread_id
    match document.get("type"), document.get("subtype"):
        case "system", "init":
            told.model(jsonl.word(document, "model"))
        case "assistant", _:
            told.spend(
                input_tokens=jsonl.count(document, "message", "usage", "input_tokens"),
                cached_input_tokens=jsonl.count(document, "message", "usage", "cache_read_input_tokens"),
                output_tokens=jsonl.count(document, "message", "usage", "output_tokens"),
            )
        case "result", subtype:
            told.is_finished = True
            told.message = jsonl.text(document, "result") or told.message
            if document.get("is_error") is True or subtype != "success":
                said = jsonl.text(document, "error", "message")
                status = _STATUS.search(said or "")
                told.fail(said, status=int(status[1]) if status else None)


QWEN = command_line.Cli(
    name="qwen",
    program="qwen",
    version_minimum=(0, 10),
    accesses=(
        command_line.Access(
            sandbox=Sandbox.WORKSPACE, approval=Approval.EDITS, arguments=("--approval-mode", "auto-edit")
        ),
        command_line.Access(
            sandbox=Sandbox.WORKSPACE, approval=Approval.NEVER, arguments=("--approval-mode", "yolo", "--sandbox")
        ),
        command_line.Access(sandbox=Sandbox.READ_ONLY, approval=Approval.NEVER, arguments=("--approval-mode", "plan")),
        command_line.Access(sandbox=Sandbox.OFF, approval=Approval.NEVER, arguments=("--approval-mode", "yolo")),
    ),
    arguments=_arguments,
    read=_read,
    continues=command_line.Continues.IN_PLACE,
    budgets=port.Budgets(tokens=BudgetHold.LIVE, cost_usd=BudgetHold.NEVER),
    environment=("OPENAI_BASE_URL", "OPENAI_MODEL", "QWEN_SANDBOX", "QWEN_HOME"),
    keys=("OPENAI_API_KEY", "DASHSCOPE_API_KEY"),
    values={"QWEN_CODE_SUPPRESS_YOLO_WARNING": "1"},
)
