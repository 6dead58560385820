"""Anthropic's Claude Code, `claude -p`: its arguments and its stream.

Tried with `@anthropic-ai/claude-code` 2.1. Its answers tell their tokens while it works; its result counts the tokens
of the run and the dollars of the whole thread, and so does the budget it holds. A failed call of the model is a result
with `is_error` and the subtype `success`; a question it would put to a person is among the denied permissions.
Tests: tests/integration/daemon/executors/, and with the CLI itself tests/executors/.
"""

import json
from collections.abc import Mapping

from local_daemon.executors import command_line, jsonl, port, transcript
from local_daemon.executors.profiles import Approval, Sandbox
from local_daemon.protocol import states
from local_daemon.protocol.states import BudgetHold

_ASKING_TOOL = "AskUserQuestion"
_SANDBOXED = json.dumps(
    {
        "sandbox": {
            "enabled": True,
            "failIfUnavailable": True,  # Or it would go on without one where bubblewrap is missing.
            "autoAllowBashIfSandboxed": True,
            "allowUnsandboxedCommands": False,
        }
    }
)


def _arguments(order: command_line.Order) -> tuple[str, ...]:
    model = () if order.model is None else ("--model", order.model)
    budget = () if order.budget_usd is None else ("--max-budget-usd", f"{order.budget_usd:g}")
    thread = () if order.thread_id is None else ("--resume", order.thread_id)
    stream = ("-p", "--output-format", "stream-json", "--verbose")
    # The repository's own MCP servers would be started without anybody having agreed to them.
    return (*stream, "--strict-mcp-config", *order.access, *model, *budget, *thread)


def _read(told: transcript.Transcript, document: jsonl.Document) -> None:
    told.thread_id = jsonl.word(document, "session_id") or told.thread_id
    match document.get("type"), document.get("subtype"):
        case "system", "init":
            told.model(jsonl.word(document, "model"))
        case "system", "permission_denied":
            told.refuse(f"{jsonl.text(document, 'tool_name')}: {jsonl.text(document, 'message')}")
        case "assistant", _:
            # Each part of an answer is told with the usage of the whole of it.
            told.answer(jsonl.word(document, "message", "id"), **_tokens(jsonl.find(document, "message")))
        case "result", subtype:
            _result(told, document, str(subtype))


def _result(told: transcript.Transcript, document: jsonl.Document, subtype: str) -> None:
    tokens = _tokens(document)
    if tokens["output_tokens"] is not None:
        told.answers_done()
        told.spend(**tokens)
    told.cost(jsonl.amount(document, "total_cost_usd"))
    told.message = jsonl.text(document, "result") or told.message
    told.questions = list(_questions(document))
    told.is_finished = True
    if document.get("is_error") is True or subtype != "success":
        errors = jsonl.find(document, "errors")
        said = "; ".join(str(error) for error in errors) if isinstance(errors, list) else None
        told.fail(
            jsonl.text(document, "result") or said or subtype,
            status=jsonl.count(document, "api_error_status"),
            cause=states.FailureCause.BUDGET if subtype == "error_max_budget_usd" else None,
        )


def _tokens(document: object) -> dict[str, int | None]:
    """What stands in the `usage` of a result or of an answer."""
    told = document if isinstance(document, Mapping) else {}
    used = [jsonl.count(told, "usage", name) for name in
            ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")]  # fmt: skip
    return {
        # Its input_tokens are those that no cache had anything to do with.
        "input_tokens": None if used[0] is None else sum(tokens or 0 for tokens in used),
        "cached_input_tokens": used[1],
        "output_tokens": jsonl.count(told, "usage", "output_tokens"),
    }


def _questions(document: jsonl.Document) -> list[str]:
    return [
        text
        for denied in jsonl.objects(document, "permission_denials")
        if denied.get("tool_name") == _ASKING_TOOL
        for question in jsonl.objects(denied, "tool_input", "questions")
        if (text := jsonl.text(question, "question"))
    ]


CLAUDE = command_line.Cli(
    name="claude",
    program="claude",
    version_minimum=(2, 0),
    accesses=(
        command_line.Access(
            sandbox=Sandbox.WORKSPACE, approval=Approval.EDITS, arguments=("--permission-mode", "acceptEdits")
        ),
        command_line.Access(
            sandbox=Sandbox.WORKSPACE,
            approval=Approval.NEVER,
            arguments=("--permission-mode", "acceptEdits", "--settings", _SANDBOXED),
        ),
        command_line.Access(
            sandbox=Sandbox.READ_ONLY,
            approval=Approval.NEVER,
            arguments=("--permission-mode", "dontAsk", "--tools", "Read,Grep,Glob"),
        ),
        command_line.Access(
            sandbox=Sandbox.OFF, approval=Approval.NEVER, arguments=("--permission-mode", "bypassPermissions")
        ),
    ),
    arguments=_arguments,
    read=_read,
    continues=command_line.Continues.ANYWHERE,
    budgets=port.Budgets(tokens=BudgetHold.LIVE, cost_usd=BudgetHold.ITSELF),
    environment=(
        "CLAUDE_CONFIG_DIR", "ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL", "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_MAX_RETRIES", "IS_SANDBOX",
    ),
    keys=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
    values={"DISABLE_AUTOUPDATER": "1"},
    login_check=("auth", "status"),
    login_hint="run `claude auth login`, or pass ANTHROPIC_API_KEY",
    counts_thread=frozenset({"cost_usd"}),
)  # fmt: skip
