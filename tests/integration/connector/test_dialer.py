"""A connector process's life: dialled, lost, dialled again, drained, stopped."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from connector_agent import config as settings
from local_daemon.protocol import envelopes, ids
from tests.integration.connector.scripted_daemon import REPOSITORY, answer, daemon_open
from tests.integration.connector.scripted_relay import (
    CONNECTOR_ID,
    WITHIN_S,
    RelayLink,
    ScriptedRelay,
    meet,
    relay_open,
)

Process = asyncio.subprocess.Process


@asynccontextmanager
async def running(home: settings.Home, relay: ScriptedRelay) -> AsyncIterator[Process]:
    """`ropeway-connector run`, enrolled at the relay."""
    settings.enrollment_write(
        home, settings.Enrollment(cloud_url=f"http://{relay.audience}", connector_id=CONNECTOR_ID)
    )
    process = await run(home)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def run(home: settings.Home) -> Process:
    passed = {name: value for name, value in os.environ.items() if not name.startswith("ROPEWAY_")}
    arguments = ("-m", "connector_agent.cli", "--home", str(home.root), "run")
    return await asyncio.create_subprocess_exec(sys.executable, *arguments, stderr=asyncio.subprocess.PIPE, env=passed)


async def logged(process: Process, event: str) -> None:
    """Read the log up to an event."""
    assert process.stderr is not None
    async with asyncio.timeout(WITHIN_S):
        async for line in process.stderr:
            if json.loads(line).get("event") == event:
                return
    raise AssertionError(f"it ended without {event}")


async def ended(process: Process) -> int:
    async with asyncio.timeout(WITHIN_S):
        return await process.wait()


async def test_a_link_that_is_lost_is_dialled_again(home: settings.Home) -> None:
    async with relay_open() as relay, running(home, relay):
        first = await relay.link()
        first.socket.transport.abort()
        assert await relay.link() is not first


async def test_a_relay_that_restarts_is_found_again(home: settings.Home) -> None:
    async with relay_open() as relay:
        running_connector = running(home, relay)
        process = await running_connector.__aenter__()
        await relay.link()
    try:
        await logged(process, "link.lost")
        async with relay_open(port=relay.port) as restarted:
            await restarted.link()
    finally:
        await running_connector.__aexit__(None, None, None)


@pytest.mark.parametrize("code", ["unauthenticated", "precondition_failed", "protocol_mismatch"])
async def test_a_refusal_is_told_and_not_dialled_again_at_once(home: settings.Home, code: str) -> None:
    async def meeting(relay: ScriptedRelay, opened: RelayLink) -> None:
        await opened.challenge(relay.audience)
        await opened.send(envelopes.Goodbye(code=code, detail="not you"))

    async with relay_open(meeting) as relay, running(home, relay) as process:
        await logged(process, "link.lost")
        process.send_signal(signal.SIGTERM)
        assert (await ended(process), relay.dialled) == (0, 1)


async def test_sigterm_stops_a_connector_that_is_dialling(home: settings.Home) -> None:
    dialled, over = asyncio.Event(), asyncio.Event()

    async def meeting(relay: ScriptedRelay, opened: RelayLink) -> None:
        dialled.set()
        await over.wait()

    async with relay_open(meeting) as relay, running(home, relay) as process:
        await dialled.wait()
        process.send_signal(signal.SIGTERM)
        over.set()
        assert await ended(process) == 0
    assert json.loads(home.status.read_text())["state"] == "stopped"


async def test_sigterm_finishes_what_is_at_work_and_a_second_one_does_not(home: settings.Home, root: Path) -> None:
    at_work, may_answer = asyncio.Event(), asyncio.Event()

    async def answering(target: str, writer: asyncio.StreamWriter) -> None:
        at_work.set()
        await may_answer.wait()
        writer.write(answer({}))

    asked = envelopes.Request(
        call_id=str(ids.new_id(ids.IdPrefix.CALL)),
        operation="runs.get",
        parameters={"repository_id": REPOSITORY, "run_id": str(ids.new_id(ids.IdPrefix.RUN))},
        deadline_ms=30_000,
    )
    async with daemon_open(root / "d", answering), relay_open(meet) as relay, asyncio.timeout(2 * WITHIN_S):
        async with running(home, relay) as process:
            link = await relay.link()
            await link.send(asked)
            await at_work.wait()
            process.send_signal(signal.SIGTERM)
            await link.until(envelopes.Advertise, lambda frame: frame.is_draining)
            may_answer.set()
            assert (await link.until(envelopes.Response))[0].status == 200
            assert await ended(process) == 0
        at_work.clear()
        may_answer.clear()
        async with running(home, relay) as process:
            link = await relay.link()
            await link.send(asked)
            await at_work.wait()
            process.send_signal(signal.SIGTERM)
            await link.until(envelopes.Advertise, lambda frame: frame.is_draining)
            process.send_signal(signal.SIGTERM)
            assert await ended(process) == 0
            may_answer.set()


async def test_a_second_connector_of_one_home_is_refused_and_the_first_goes_on(home: settings.Home) -> None:
    async with relay_open() as relay, running(home, relay) as first:
        await relay.link()
        second = await run(home)
        _, said = await second.communicate()
        assert (second.returncode, first.returncode, relay.dialled) == (30, None, 1)
        assert b"Another connector runs with this home" in said


async def test_a_connector_whose_key_is_lost_says_so_and_makes_no_other(home: settings.Home) -> None:
    home.key.unlink()
    async with relay_open() as relay, running(home, relay) as process:
        _, said = await process.communicate()
        assert (process.returncode, relay.dialled, home.key.exists()) == (30, 0, False)
        assert b"enroll again" in said
