"""The list of commands, which is shown without importing any of them."""

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from local_daemon.cli import main
from tests.integration.daemon.shell import CHECKOUT

LISTED = main._COMMANDS


@pytest.mark.parametrize("name", LISTED)
def test_the_list_says_of_a_command_what_the_command_says_of_itself(name: str) -> None:
    command = main.cli.get_command(click.Context(main.cli), name)
    assert command is not None
    assert command.name == name
    assert LISTED[name].help == command.get_short_help_str(limit=200)


def commands(group: click.Group, *above: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield " ".join((*above, name)), command


ALL = dict(commands(main.cli))


@pytest.mark.parametrize("words", sorted(ALL.keys() - {"daemon", "mcp", "completion"}))
def test_a_command_can_answer_a_program_with_one_document(words: str) -> None:
    assert any("--json" in option.opts for option in ALL[words].params)


@pytest.mark.parametrize("words", ALL)
def test_a_command_says_what_it_and_each_of_its_options_is_for(words: str) -> None:
    assert (ALL[words].help or "").partition("\n")[0].endswith(".")
    for option in ALL[words].params:
        assert not isinstance(option, click.Option) or option.hidden or option.help or option.show_default


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_help_imports_neither_the_client_nor_what_it_speaks(words: list[str]) -> None:
    code = (
        "import sys; from local_daemon.cli import main; main.cli.main(sys.argv[1:], standalone_mode=False); "
        "sys.exit(bool({'httpx', 'pydantic', 'rich', 'asyncio'} & set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=CHECKOUT, check=False, capture_output=True, text=True
    )
    assert shown.returncode == 0, shown
    assert words == ["--version"] or all(name in shown.stdout for name in LISTED)


def test_a_command_that_there_is_not_names_those_that_look_like_it() -> None:
    with pytest.raises(click.UsageError, match="No such command 'submitt'. Did you mean submit"):
        main.cli.main(["submitt"], standalone_mode=False)


def test_a_shell_is_answered_with_command_names_and_what_they_are_for() -> None:
    found = main.cli.shell_complete(click.Context(main.cli), "st")
    assert [(each.value, each.help) for each in found] == [
        ("status", LISTED["status"].help),
        ("step", LISTED["step"].help),
    ]


OFFERED = {"step_id", "run_id", "run", "gate_id", "conversation_id", "of", "executor", "profile", "repository"}


@pytest.mark.parametrize("words", ALL)
def test_what_names_something_of_the_record_is_completed_from_it(words: str) -> None:
    for each in ALL[words].params:
        if each.name in OFFERED:
            assert each._custom_shell_complete is not None, each.name
