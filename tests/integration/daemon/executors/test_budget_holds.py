"""What is said of a CLI's budgets is what it was recorded to do."""

import pytest

from local_daemon.executors import command_line, port, registry
from local_daemon.executors import transcript as transcripts
from local_daemon.protocol.states import BudgetHold
from tests.integration.daemon.executors.player import transcript


def told(cli: command_line.Cli) -> list[port.Usage]:
    """What was known of its usage after each line of a run that went well."""
    reading = transcripts.Reading(cli.read, counts_thread=cli.counts_thread, before=None)
    usages = []
    for line in transcript(f"{cli.name}-success").read_bytes().splitlines():
        reading.read(line)
        usages.append(reading.usage)
    return usages


@pytest.mark.parametrize("cli", registry.CLIS, ids=lambda cli: cli.name)
def test_tokens_are_said_to_stop_one_at_work_only_if_it_told_them_while_it_worked(cli: command_line.Cli) -> None:
    *while_working, at_end = told(cli)
    tells_live = any(usage.input_tokens is not None for usage in while_working)
    assert at_end.input_tokens is not None
    assert cli.budgets.tokens is (BudgetHold.LIVE if tells_live else BudgetHold.END)


@pytest.mark.parametrize("cli", registry.CLIS, ids=lambda cli: cli.name)
def test_dollars_are_said_to_stop_one_only_if_it_tells_them_or_keeps_to_them(cli: command_line.Cli) -> None:
    *while_working, at_end = told(cli)
    if at_end.cost_usd is None:
        expected = BudgetHold.NEVER
    elif any(usage.cost_usd is not None for usage in while_working):
        expected = BudgetHold.LIVE
    else:
        expected = BudgetHold.ITSELF
        order = command_line.Order(access=(), worktree=None, model=None, budget_usd=0.5, thread_id=None)  # type: ignore[arg-type]
        assert "0.5" in cli.arguments(order)
    assert cli.budgets.cost_usd is expected
