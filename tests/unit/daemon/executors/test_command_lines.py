"""The whole command line of each CLI for each of its profiles, as it was tried with the CLI itself.

Written out, so that a change of one is a line that somebody reads; tests/executors runs the same ones for real. W is
the worktree.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_daemon.executors import acp, antigravity, command_line, patch, person, port, profiles, registry, template
from local_daemon.executors.profiles import Approval, Sandbox

Task = Callable[..., port.ExecutorTask]
SANDBOXED = (
    '{"sandbox": {"enabled": true, "failIfUnavailable": true, "autoAllowBashIfSandboxed": true, '
    '"allowUnsandboxedCommands": false}}'
)
CODEX_END = "--json --skip-git-repo-check"
CLAUDE = "-p --output-format stream-json --verbose --strict-mcp-config --permission-mode"
GEMINI = "-p '' --output-format stream-json --approval-mode"
QWEN = "--output-format stream-json --approval-mode"
OPENCODE = "run --format json --print-logs --log-level ERROR"

RECORDED: dict[tuple[str, Sandbox, Approval], str] = {
    ("codex", Sandbox.WORKSPACE, Approval.NEVER): (
        f"exec -s workspace-write -c approval_policy=\"never\" -C W {CODEX_END} -"
    ),
    ("codex", Sandbox.READ_ONLY, Approval.NEVER): (
        f"exec -s read-only -c approval_policy=\"never\" -C W {CODEX_END} -"
    ),
    ("codex", Sandbox.OFF, Approval.NEVER): (
        f"exec -s danger-full-access -c approval_policy=\"never\" -C W {CODEX_END} -"
    ),
    ("claude", Sandbox.WORKSPACE, Approval.EDITS): f"{CLAUDE} acceptEdits",
    ("claude", Sandbox.WORKSPACE, Approval.NEVER): f"{CLAUDE} acceptEdits --settings SANDBOXED",
    ("claude", Sandbox.READ_ONLY, Approval.NEVER): f"{CLAUDE} dontAsk --tools Read,Grep,Glob",
    ("claude", Sandbox.OFF, Approval.NEVER): f"{CLAUDE} bypassPermissions",
    ("gemini", Sandbox.WORKSPACE, Approval.EDITS): f"{GEMINI} auto_edit",
    ("gemini", Sandbox.WORKSPACE, Approval.NEVER): f"{GEMINI} yolo --sandbox",
    ("gemini", Sandbox.READ_ONLY, Approval.NEVER): f"{GEMINI} plan",
    ("gemini", Sandbox.OFF, Approval.NEVER): f"{GEMINI} yolo",
    ("qwen", Sandbox.WORKSPACE, Approval.EDITS): f"{QWEN} auto-edit",
    ("qwen", Sandbox.WORKSPACE, Approval.NEVER): f"{QWEN} yolo --sandbox",
    ("qwen", Sandbox.READ_ONLY, Approval.NEVER): f"{QWEN} plan",
    ("qwen", Sandbox.OFF, Approval.NEVER): f"{QWEN} yolo",
    ("opencode", Sandbox.WORKSPACE, Approval.EDITS): OPENCODE,
    ("opencode", Sandbox.READ_ONLY, Approval.NEVER): OPENCODE,
    ("opencode", Sandbox.OFF, Approval.NEVER): f"{OPENCODE} --auto",
}  # fmt: skip
OPENCODE_PERMITS = {
    (Sandbox.WORKSPACE, Approval.EDITS): {"external_directory": "deny", "edit": "allow", "bash": "deny"},
    (Sandbox.READ_ONLY, Approval.NEVER): {"external_directory": "deny", "edit": "deny", "bash": "deny"},
    (Sandbox.OFF, Approval.NEVER): {"external_directory": "allow", "edit": "allow", "bash": "allow"},
}
WITH_MODEL_AND_THREAD = {
    "codex": f"exec -s workspace-write -c approval_policy=\"never\" -C W resume {CODEX_END} -m best thread-1 -",
    "claude": f"{CLAUDE} acceptEdits --model best --resume thread-1",
    "gemini": f"{GEMINI} auto_edit -m best --resume thread-1",
    "qwen": f"{QWEN} auto-edit --model best --resume thread-1",
    "opencode": f"{OPENCODE} --model best --session thread-1",
}  # fmt: skip
CLIS = {cli.name: cli for cli in registry.CLIS}
every_cli = pytest.mark.parametrize("name", CLIS)


@pytest.fixture
def on_path(tmp_path: Path) -> str:
    """A PATH on which every CLI lies, and one command more."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in (*(cli.program for cli in registry.CLIS), "tool"):
        (folder / program).write_text("#!/bin/sh\n")
        (folder / program).chmod(0o755)
    return str(folder)


def written(launch: port.Launch, tree: Path) -> str:
    """The arguments as RECORDED has them."""
    names = {"": "''", str(tree): "W", SANDBOXED: "SANDBOXED"}
    return " ".join(names.get(argument, argument) for argument in launch.argv[1:])


def launched(task: Task, on_path: str, name: str, **profile: Any) -> port.Launch:
    given = profiles.Profile(name="p", executor=name, **profile)
    return command_line.CliExecutor(CLIS[name], search_path=on_path).prepare(task(profile=given))


@pytest.mark.parametrize(("name", "sandbox", "approval"), RECORDED)
def test_each_profile_is_its_command_line(
    task: Task, on_path: str, tree: Path, name: str, sandbox: Sandbox, approval: Approval
) -> None:
    launch = launched(task, on_path, name, sandbox=sandbox, approval=approval)
    assert launch.argv[0] == f"{on_path}/{CLIS[name].program}"
    assert written(launch, tree) == RECORDED[name, sandbox, approval]
    if name == "opencode":
        assert json.loads(launch.values["OPENCODE_PERMISSION"]) == OPENCODE_PERMITS[sandbox, approval]


@every_cli
def test_what_is_written_down_here_is_all_that_it_can_be_asked_for(name: str) -> None:
    assert {(name, each.sandbox, each.approval) for each in CLIS[name].accesses} == {
        key for key in RECORDED if key[0] == name
    }


@every_cli
def test_a_model_and_a_thread_stand_where_it_takes_them(task: Task, on_path: str, tree: Path, name: str) -> None:
    thread = port.Thread(thread_id="thread-1", worktree=tree)
    given = task(profile=profiles.Profile(name="p", executor=name, model="best"), thread=thread, answer="Yes.")
    launch = command_line.CliExecutor(CLIS[name], search_path=on_path).prepare(given)
    assert written(launch, tree) == WITH_MODEL_AND_THREAD[name]


@every_cli
def test_a_profile_adds_names_to_the_environment_and_takes_none_away(task: Task, on_path: str, name: str) -> None:
    plain, more = launched(task, on_path, name), launched(task, on_path, name, environment=("TEAM_PROXY",))
    assert set(more.passed_names) - set(plain.passed_names) == {"TEAM_PROXY"}
    assert {*CLIS[name].environment, *CLIS[name].keys, *command_line.NETWORK_NAMES} <= set(plain.passed_names)


def test_a_budget_is_on_the_command_line_of_the_one_that_holds_it(task: Task, on_path: str, tree: Path) -> None:
    launch = launched(task, on_path, "claude", budget_usd=2.5, model="best")
    assert written(launch, tree) == f"{CLAUDE} acceptEdits --model best --max-budget-usd 2.5"


@every_cli
def test_the_prompt_is_on_standard_input_and_never_an_argument(task: Task, on_path: str, name: str) -> None:
    given = task(goal="--help; rm -rf /")
    launch = command_line.CliExecutor(CLIS[name], search_path=on_path).prepare(given)
    assert launch.stdin is not None
    assert b"--help; rm -rf /" in launch.files[launch.stdin]
    assert not any("rm -rf" in argument for argument in launch.argv)


def test_a_template_gets_its_profiles_model_and_a_blank_is_one_argument(task: Task, on_path: str) -> None:
    tool = template.Template(name="tool", command=("tool", "--model={model}", "{goal}"))
    given = task(goal="a b; c", profile=profiles.Profile(name="p", executor="tool", model="best"))
    assert template.TemplateExecutor(tool, search_path=on_path).prepare(given).argv[1:] == ("--model=best", "a b; c")


def test_an_agents_approval_is_in_its_order_and_its_command_as_the_operator_wrote_it(task: Task, on_path: str) -> None:
    agent = acp.AcpExecutor(acp.Agent(name="own", command=("tool", "--acp")), search_path=on_path)
    for approval in Approval:
        given = task(profile=profiles.Profile(name="p", executor="own", approval=approval))
        launch = agent.prepare(given)
        assert launch.argv[-2:] == (f"{on_path}/tool", "--acp")
        assert json.loads(launch.files[given.scratch / acp.ORDER_NAME])["approval"] == approval


@pytest.mark.parametrize("asked", [{"sandbox": Sandbox.OFF}, {"model": "best"}, {"budget_usd": 1.0}, {"program": "x"}])
def test_what_an_agent_or_an_ide_can_not_keep_is_refused(task: Task, on_path: str, asked: dict[str, Any]) -> None:
    agent = acp.AcpExecutor(acp.Agent(name="own", command=("tool",)), search_path=on_path)
    ide = antigravity.AntigravityExecutor(antigravity.Broker(url="http://127.0.0.1:1"))
    for executor in (agent, ide):
        with pytest.raises(port.TaskUnsuitable):
            executor.prepare(task(profile=profiles.Profile(name="p", executor=executor.name, **asked)))


def test_what_takes_no_profile_is_given_none_by_the_registry() -> None:
    assert not isinstance(patch.PatchExecutor(), port.Profiled)
    assert not isinstance(person.PersonExecutor(), port.Profiled)
