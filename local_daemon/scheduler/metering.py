"""Watching what an executor uses while it works, held against every budget there is for it.

Woken when its output grows, when another attempt has told of more, and when its time would be over. Each look takes the
record, read again only after a commit of its run and only what is new of that, with what all attempts at work have told
by then, so that steps side by side share what is left of their run. Deliberately ends nothing: `execution` does.
Tests: tests/integration/daemon/test_budgets.py.
"""

import asyncio
from datetime import UTC, datetime

from local_daemon.executors import interpretation
from local_daemon.executors import port as executor_port
from local_daemon.protocol import specs
from local_daemon.scheduler import outputs, spending, workshop
from local_daemon.usage.records import Spent

_GATHER_S = 0.2
"""What is said within this is looked at together, however much an executor talks."""

_UNTOLD_S = 2.0
"""How often output is looked at where the system has no room for one more watch."""


async def until_overspent(shop: workshop.Workshop, lease: workshop.Lease) -> specs.Failure:
    """What stops the executor, once more is used than some budget allows."""
    attempt_id = lease.attempt.attempt_id
    scratch = shop.scratch_path(attempt_id)
    meter = interpretation.UsageMeter(
        shop.executors.executor_get(lease.step.executor),
        workshop.executor_task(shop, lease),
        stdout=scratch / outputs.STDOUT,
        stderr=scratch / outputs.STDERR,
    )
    run_id = lease.step.run_id
    ledger = shop.meters.ledger(run_id)
    with (
        shop.outputs.followed(attempt_id, outputs.STDOUT) as following,
        shop.database.wake.counted(run_id) as commits,
    ):
        books, read = None, 0
        while True:
            grown = 0 if following is None else following.mark
            shop.meters.tell(attempt_id, _spent(await asyncio.to_thread(meter.usage)))
            news = shop.meters.news.mark
            now = datetime.now(UTC)
            if books is None or read != commits.mark:
                read = commits.mark
                books = spending.lease_books(shop, lease, now=now, ledger=ledger)
            accounts = books.accounts(now=now, told=shop.meters.told())
            stopped = spending.work_stopped(accounts)
            if stopped is not None:
                return stopped
            waking = [shop.meters.news.grown(after=news)]
            if following is not None:
                waking.append(following.grown(after=grown))
            left_s = spending.seconds_left(accounts)
            await _any(waking, within_s=left_s if following is not None else min(left_s or _UNTOLD_S, _UNTOLD_S))
            await asyncio.sleep(_GATHER_S if left_s is None else min(left_s, _GATHER_S))


async def _any(waking: list["asyncio.Future[None]"], *, within_s: float | None) -> None:
    try:
        await asyncio.wait(waking, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waking:
            each.cancel()


def _spent(usage: executor_port.Usage) -> Spent:
    return Spent(
        input_tokens=usage.input_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        output_tokens=usage.output_tokens,
        cost_usd=usage.cost_usd,
    )
