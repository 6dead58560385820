"""Waiters are woken by commits, never too late and not by everybody's."""

import asyncio
from pathlib import Path

from local_daemon.storage.database import Database
from local_daemon.storage.wake import Wake


async def test_a_commit_after_the_mark_is_never_missed() -> None:
    wake = Wake()
    mark = wake.mark
    wake.announce(["step_1"])
    assert await wake.wait_for_change(after=mark, topic="step_1") == mark + 1


async def test_a_waiter_is_woken_by_its_own_topic_only() -> None:
    wake = Wake()
    waiting = asyncio.ensure_future(wake.wait_for_change(after=wake.mark, topic="step_1"))
    anything = asyncio.ensure_future(wake.wait_for_change(after=wake.mark))
    await asyncio.sleep(0)
    wake.announce(["step_2"])
    assert await anything == 1
    assert not waiting.done()
    wake.announce(["step_1"])
    assert await waiting == 2


def test_commits_of_one_topic_are_counted_while_somebody_wants_to_know() -> None:
    wake = Wake()
    wake.announce(["run_1"])
    with wake.counted("run_1") as outer, wake.counted("run_2") as other:
        with wake.counted("run_1") as inner:
            wake.announce(["run_1", "step_1"])
            wake.announce(())
        wake.announce(["run_1"])
    wake.announce(["run_1"])
    assert (outer.mark, inner.mark, other.mark) == (2, 1, 0)


async def test_any_number_of_waiters_is_woken_by_one_commit() -> None:
    wake = Wake()
    waiting = [asyncio.ensure_future(wake.wait_for_change(after=0, topic="step_1")) for _ in range(1000)]
    await asyncio.sleep(0)
    wake.announce(["step_1"])
    assert set(await asyncio.gather(*waiting)) == {1}


async def test_a_waiter_that_gives_up_leaves_nothing_behind() -> None:
    wake = Wake()
    waiting = asyncio.ensure_future(wake.wait_for_change(after=0, topic="step_1"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert wake._waiters == {}


async def test_a_write_wakes_the_topics_it_touched(tmp_path: Path) -> None:
    opened = Database.open(tmp_path / "record.db")
    mark = opened.wake.mark
    waiting = asyncio.ensure_future(opened.wake.wait_for_change(after=mark, topic="run_1"))
    await opened.write("touch", lambda tx: tx.touch("run_1", None))
    assert await waiting == mark + 1
    await opened.close()
