"""OpenAI's `codex exec`: its arguments and its stream.

Tried with `@openai/codex` 0.169. Its `turn.completed` counts the whole thread, earlier runs included; an `error` item
in a run that goes on is a warning.
Tests: tests/integration/daemon/executors/, and with the CLI itself tests/executors/.
"""

from local_daemon.executors import command_line, jsonl, port, transcript
from local_daemon.executors.profiles import Approval, Sandbox
from local_daemon.protocol.states import BudgetHold


def _arguments(order: command_line.Order) -> tuple[str, ...]:
    # `resume` knows neither -s nor -C, so they stand before it.
    resume = () if order.thread_id is None else ("resume",)
    model = () if order.model is None else ("-m", order.model)
    thread = () if order.thread_id is None else (order.thread_id,)
    place = ("-C", str(order.worktree))
    return ("exec", *order.access, *place, *resume, "--json", "--skip-git-repo-check", *model, *thread, "-")


def _read(told: transcript.Transcript, document: jsonl.Document) -> None:
    match document.get("type"):
        case "thread.started":
            told.thread_id = jsonl.word(document, "thread_id")
        case "item.completed" if jsonl.find(document, "item", "type") == "agent_message":
            told.message = jsonl.text(document, "item", "text") or told.message
        case "turn.completed":
            told.is_finished = True
            told.spend(
                input_tokens=jsonl.count(document, "usage", "input_tokens"),
                cached_input_tokens=jsonl.count(document, "usage", "cached_input_tokens"),
                output_tokens=jsonl.count(document, "usage", "output_tokens"),
            )
        case "turn.failed":
            told.fail(jsonl.text(document, "error", "message"))


CODEX = command_line.Cli(
    name="codex",
    program="codex",
    version_minimum=(0, 100),
    accesses=tuple(
        command_line.Access(
            sandbox=sandbox, approval=Approval.NEVER, arguments=("-s", word, "-c", 'approval_policy="never"')
        )
        for sandbox, word in (
            (Sandbox.WORKSPACE, "workspace-write"),
            (Sandbox.READ_ONLY, "read-only"),
            (Sandbox.OFF, "danger-full-access"),
        )
    ),
    arguments=_arguments,
    read=_read,
    continues=command_line.Continues.ANYWHERE,
    budgets=port.Budgets(tokens=BudgetHold.END, cost_usd=BudgetHold.NEVER),
    environment=("CODEX_HOME", "OPENAI_BASE_URL", "OPENAI_ORGANIZATION", "OPENAI_PROJECT"),
    keys=("OPENAI_API_KEY", "CODEX_API_KEY"),
    login_check=("login", "status"),
    login_hint="run `codex login`",
    counts_thread=frozenset({"input_tokens", "cached_input_tokens", "output_tokens"}),
)
