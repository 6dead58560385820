"""A tool that stays: asked again and again, and gone once it does not answer as it should."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from local_daemon.processes import children, process_table, standing

ENV = {"PATH": "/usr/bin:/bin"}
ECHO = 'while read -r line; do echo "$line"; done'


@pytest.fixture(autouse=True)
def _what_is_killed_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no failure."""
    monkeypatch.setattr(standing, "_KILLED_S", 60.0)


def start(script: str) -> standing.Standing:
    return standing.Standing.start(("/bin/sh", "-c", script), cwd=Path("/"), env=ENV)


def is_gone(pid: int) -> bool:
    entry = process_table.entry_read(pid)
    return (entry is None or entry.has_ended) and not children.is_started_here(pid)


async def ask(tool: standing.Standing, order: bytes, *, lines: int = 1, timeout_s: float = 20) -> list[bytes]:
    return await tool.ask(order, lines=lines, timeout_s=timeout_s)


async def test_one_process_answers_order_after_order() -> None:
    tool = start('while read -r line; do echo "$line $$"; done')
    first, second = [(await ask(tool, word))[0].split() for word in (b"one\n", b"two\n")]
    assert (first[0], second[0], first[1]) == (b"one", b"two", second[1])
    tool.close()
    tool.close()
    await tool.gone()
    assert is_gone(int(first[1]))


async def test_orders_at_the_same_time_take_turns() -> None:
    tool = start('while read -r a; do read -r b; echo "$a"; echo "$b"; done')
    orders = [f"{number}\n{number}\n".encode() for number in range(20)]
    answers = await asyncio.gather(*(ask(tool, order, lines=2) for order in orders))
    assert [b"".join(line + b"\n" for line in answer) for answer in answers] == orders
    tool.close()
    await tool.gone()


@pytest.mark.parametrize(
    "script",
    ["exit 1", "read -r line", "read -r line; printf 'a\\nb\\n'; sleep 600", "read -r line; printf 'a\\nb'; sleep 600"],
)
async def test_one_that_ends_or_says_something_else_is_gone(script: str) -> None:
    tool = start(script)
    with pytest.raises(standing.NoAnswer):
        await ask(tool, b"order\n")
    assert tool.is_closed
    with pytest.raises(standing.NoAnswer):
        await ask(tool, b"order\n")


async def test_one_that_takes_too_long_is_gone() -> None:
    tool = start("read -r line; echo $$; exec sleep 600")
    pid = int((await ask(tool, b"\n"))[0])
    with pytest.raises(standing.NoAnswer):
        await ask(tool, b"order\n", timeout_s=0.05)
    assert is_gone(pid)


async def test_what_is_cancelled_leaves_nobody_behind() -> None:
    tool = start("read -r line; echo $$; exec sleep 600")
    pid = int((await ask(tool, b"\n"))[0])
    asking = asyncio.ensure_future(ask(tool, b"order\n"))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await tool.gone()
    assert is_gone(pid)


@pytest.mark.parametrize("is_stopped", [False, True])
async def test_one_that_will_not_end_holds_nobody_up_and_is_killed(
    is_stopped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "GRACE_S", 0.05)
    tool = start(
        "read -r a; echo $$; cat" if is_stopped else "trap '' TERM; read -r a; echo $$; while :; do read -r a; done"
    )
    pid = int((await ask(tool, b"\n"))[0])
    if is_stopped:
        os.kill(pid, signal.SIGSTOP)
    tool.close()
    # Back at once, on a loop that goes on while nothing has ended the tool yet.
    await asyncio.sleep(0)
    assert tool.is_closed
    assert not is_gone(pid)
    await tool.gone()
    assert is_gone(pid)


async def test_an_answer_is_waited_for_until_what_was_ordered_can_not_be_done_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(standing, "GRACE_S", 0.05)
    tool = start("trap '' TERM; read -r a; echo $$; while :; do read -r a; done")
    pid = int((await ask(tool, b"\n"))[0])
    with pytest.raises(standing.NoAnswer):
        await ask(tool, b"order\n", timeout_s=0.05)
    assert is_gone(pid)


async def test_who_waits_for_an_answer_hears_of_the_end() -> None:
    tool = start("read -r line; exec sleep 600")
    asking = asyncio.ensure_future(ask(tool, b"order\n"))
    await asyncio.sleep(0)
    tool.close()
    with pytest.raises(standing.NoAnswer):
        await asking


async def test_an_order_that_is_too_long_is_not_given() -> None:
    tool = start(ECHO)
    with pytest.raises(standing.NoAnswer):
        await ask(tool, b"x" * standing.ORDER_BYTES_MAX + b"\n")
    assert not tool.is_closed
    tool.close()
    await tool.gone()


async def test_a_tool_that_is_not_there_is_a_failed_launch() -> None:
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(children.LaunchFailed):
        standing.Standing.start(("no-such-tool",), cwd=Path("/"), env=ENV)
    assert set(os.listdir("/proc/self/fd")) == before
