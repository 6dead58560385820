"""Enrolling at the command line, against clouds that agree, refuse, break off or are no cloud."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from connector_agent import config as settings
from local_daemon.protocol import enrollment, errors
from tests.integration.connector.scripted_daemon import answer
from tests.integration.connector.shell import command

ENROLLED = answer({"connector_id": "connector-1", "organization": "Acme", "project": "Bridge"})


def refused(error: errors.RopewayError) -> bytes:
    return answer(error.problem(), status=error.row.http)


@dataclass(slots=True, kw_only=True)
class ScriptedCloud:
    """Gives the answers that it was given, one a request."""

    answers: list[bytes]
    url: str = ""
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1]) for line in head.lower().split("\r\n") if line.startswith("content-length")
        )
        self.asked.append((head.split(" ", 2)[1], json.loads(await reader.readexactly(length))))
        writer.write(self.answers.pop(0).replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def cloud_open(*answers: bytes) -> AsyncIterator[ScriptedCloud]:
    cloud = ScriptedCloud(answers=list(answers))
    server = await asyncio.start_server(cloud.serve, "127.0.0.1", 0)
    cloud.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield cloud


async def test_a_code_makes_this_machine_a_connector(home: settings.Home) -> None:
    async with cloud_open(ENROLLED) as cloud:
        code, said, _ = await command(home, "enroll", "--cloud", f"{cloud.url}/", "--code", " once ")
    assert (code, "Acme / Bridge" in said) == (0, True)
    assert settings.enrollment_read(home) == settings.Enrollment(cloud_url=cloud.url, connector_id="connector-1")
    assert [(path, body["code"]) for path, body in cloud.asked] == [(enrollment.ENROLL_PATH, "once")]


@pytest.mark.parametrize(
    "error",
    [errors.NotFound("No such code."), errors.Expired("The code expired."), errors.PreconditionFailed("It was used.")],
)
async def test_a_code_that_is_refused_says_why_and_changes_nothing(
    home: settings.Home, error: errors.RopewayError
) -> None:
    async with cloud_open(refused(error)) as cloud:
        code, _, complaint = await command(home, "enroll", "--cloud", cloud.url, "--code", "x")
    assert (code, error.detail in complaint, home.enrollment.exists()) == (30, True, False)


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlogin", answer({}), answer([], status=502)]
)
async def test_what_is_no_cloud_is_said_and_a_rerun_shows_the_same_key(home: settings.Home, said: bytes) -> None:
    async with cloud_open(said, ENROLLED) as cloud:
        assert (await command(home, "enroll", "--cloud", cloud.url, "--code", "x"))[0] == 41
        assert (await command(home, "enroll", "--cloud", cloud.url, "--code", "x"))[0] == 0
    assert cloud.asked[0][1]["public_key"] == cloud.asked[1][1]["public_key"]


@pytest.mark.parametrize("url", ["ropeway.example", "https://ropeway.example/cloud", "https://me@ropeway.example"])
async def test_a_url_that_could_not_be_dialled_spends_no_code(home: settings.Home, url: str) -> None:
    code, _, complaint = await command(home, "enroll", "--cloud", url, "--code", "x")
    assert (code, "scheme and name only" in complaint) == (30, True)


async def test_waiting_for_a_claim_outlasts_a_request_that_is_lost(home: settings.Home) -> None:
    registered = answer({"claim_code": "ABCD-EFGH", "expires_at": "2999-01-01T00:00:00Z", "poll_interval_s": 0.01})
    claimed = answer({"status": "claimed", "connector_id": "connector-1"})
    async with cloud_open(registered, b"", claimed) as cloud:
        code, _, shown = await command(home, "enroll", "--cloud", cloud.url)
    assert (code, "ABCD-EFGH" in shown) == (0, True)
    assert settings.enrollment_read(home).connector_id == "connector-1"
