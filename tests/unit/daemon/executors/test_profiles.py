"""What every CLI can keep, and that nothing else is taken for it."""

import dataclasses
import itertools

import pytest

from local_daemon.executors import claude, command_line, port, profiles, registry
from local_daemon.executors.profiles import Approval, Sandbox

every_cli = pytest.mark.parametrize("cli", registry.CLIS, ids=lambda cli: cli.name)


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Every CLI is on the PATH."""
    for cli in registry.CLIS:
        path = tmp_path / "bin" / cli.program
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    return str(tmp_path / "bin")


@every_cli
@pytest.mark.parametrize(("sandbox", "approval"), list(itertools.product(Sandbox, Approval)))
def test_a_combination_is_kept_or_refused(cli, sandbox, approval, task, program):
    executor = command_line.CliExecutor(cli, search_path=program)
    wanted = profiles.Profile(name="p", executor=cli.name, sandbox=sandbox, approval=approval)
    offered = [each for each in cli.accesses if (each.sandbox, each.approval) == (sandbox, approval)]
    if not offered:
        with pytest.raises(port.TaskUnsuitable, match="can't keep"):
            executor.prepare(task(profile=wanted))
        return
    launch = executor.prepare(task(profile=wanted))
    assert set(offered[0].arguments) <= set(launch.argv)
    assert offered[0].values.items() <= launch.values.items()


@every_cli
def test_no_two_combinations_are_the_same_command_line(cli, task, program):
    executor = command_line.CliExecutor(cli, search_path=program)
    seen = set()
    for access in cli.accesses:
        wanted = profiles.Profile(name="p", executor=cli.name, sandbox=access.sandbox, approval=access.approval)
        launch = executor.prepare(task(profile=wanted))
        seen.add((launch.argv, tuple(sorted(launch.values.items()))))
    assert len(seen) == len(cli.accesses)


@every_cli
def test_by_itself_it_may_write_in_its_worktree_and_no_more(cli):
    assert cli.accesses[0].sandbox is Sandbox.WORKSPACE


@every_cli
def test_a_budget_is_held_or_refused(cli, task, program):
    executor = command_line.CliExecutor(cli, search_path=program)
    wanted = profiles.Profile(name="p", executor=cli.name, budget_usd=0.25)
    if cli.holds_budget:
        assert "0.25" in executor.prepare(task(profile=wanted)).argv
    else:
        with pytest.raises(port.TaskUnsuitable, match="budget"):
            executor.prepare(task(profile=wanted))


@every_cli
def test_a_program_of_the_operators_choice_is_run(cli, task, program, tmp_path):
    own = tmp_path / "own-build"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    wanted = profiles.Profile(name="p", executor=cli.name, program=str(own))
    assert command_line.CliExecutor(cli, search_path=program).prepare(task(profile=wanted)).argv[0] == str(own)


@every_cli
@pytest.mark.parametrize("thread_id", ["--help", "", "a b", "../x", "x" * 500])
def test_a_thread_id_that_is_none_is_not_put_on_a_command_line(cli, task, program, tree, thread_id):
    thread = port.Thread(thread_id=thread_id, worktree=tree)
    given = task(thread=thread, question="Which?", answer="That.")
    launch = command_line.CliExecutor(cli, search_path=program).prepare(given)
    assert (
        launch.argv
        == command_line.CliExecutor(cli, search_path=program).prepare(dataclasses.replace(given, thread=None)).argv
    )


@every_cli
def test_a_thread_begun_elsewhere_is_told_anew_where_the_cli_would_not_find_it(cli, task, program, tmp_path):
    thread = port.Thread(thread_id="thread-1", worktree=tmp_path / "elsewhere")
    launch = command_line.CliExecutor(cli, search_path=program).prepare(
        task(goal="The goal.", thread=thread, question="Which?", answer="That.")
    )
    goes_on = cli.continues is command_line.Continues.ANYWHERE
    assert ("thread-1" in launch.argv) == goes_on
    prompt = next(content for path, content in launch.files.items() if path.name == command_line.PROMPT_NAME)
    assert (b"The goal." in prompt) != goes_on
    assert b"That." in prompt


@pytest.mark.parametrize(
    ("profile_usd", "left_usd", "before_usd", "told"),
    [(2.5, 1.25, None, "1.25"), (1.0, 3.0, None, "1"), (None, 0.75, None, "0.75"), (2.0, 1.0, 0.5, "1.5")],
)
def test_the_least_of_what_may_be_spent_is_told_on_top_of_what_the_thread_has_cost(
    task, program, tree, profile_usd, left_usd, before_usd, told
):
    """Claude Code counts the dollars of the whole thread, also against its budget."""
    before = port.Thread(thread_id="thread-1", worktree=tree, usage=port.Usage(cost_usd=before_usd))
    given = task(
        profile=profiles.Profile(name="p", executor="claude", budget_usd=profile_usd),
        budget_usd=left_usd,
        thread=None if before_usd is None else before,
    )
    argv = command_line.CliExecutor(claude.CLAUDE, search_path=program).prepare(given).argv
    assert argv[argv.index("--max-budget-usd") + 1] == told


@every_cli
def test_what_is_left_of_a_budget_changes_the_command_line_of_those_only_that_can_hold_it(cli, task, program):
    executor = command_line.CliExecutor(cli, search_path=program)
    assert (executor.prepare(task(budget_usd=1.0)).argv != executor.prepare(task()).argv) == cli.holds_budget
