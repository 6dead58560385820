"""The surfaces under real daphne, which takes in a whole request before it asks anybody."""

import asyncio
import contextlib
import json
import re
from collections.abc import Iterable

from local_daemon.protocol import limits
from tests.integration.cloud.relay import scripted
from tests.integration.cloud.relay.conftest import Cloud, Site
from tests.integration.cloud.relay.test_http import assert_problem, calls_of

PATHS = {
    "/api/v2/projects/%00/runs": "not_found",
    "/api/v2/projects/../../etc/passwd": "not_found",
    "/api/v2/projects/%2e%2e/runs": "not_found",
    "/api/v2/projects/%ff/runs": "not_found",
    "/api/v2/projects/$(id)/runs": "not_found",
    "/api/v2/projects/" + "x" * 8000 + "/runs": "not_found",
    "/api/v2/nowhere": "not_found",
    "/api/v2/projects?x=%ff": "invalid_request",
}


async def raw(cloud: Cloud, head: str, pieces: Iterable[bytes] = ()) -> tuple[int, bytes]:
    """Send exactly this; the status and the body of what comes back, once the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", cloud.port)
    writer.write(head.encode("latin-1"))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    status = re.match(rb"HTTP/1.1 ([0-9]{3})", answer)
    assert status is not None, answer[:200]
    return int(status.group(1)), answer.partition(b"\r\n\r\n")[2]


def head(site: Site, *headers: str, path: str | None = None, method: str = "POST") -> str:
    lines = (
        f"{method} {path or f'/api/v2/projects/{site.project_id}/runs'} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {site.token}",
        "Content-Type: application/json",
        "Connection: close",
        *headers,
    )
    return "\r\n".join(lines) + "\r\n\r\n"


def chunks(size: int) -> Iterable[bytes]:
    piece = b"%x\r\n" % limits.MIB + b" " * limits.MIB + b"\r\n"
    yield from (piece for _ in range(size // limits.MIB))
    yield b"0\r\n\r\n"


async def test_fifty_megabytes_in_chunks_are_refused_in_the_tables_form(elsewhere: Cloud, site: Site) -> None:
    for path in (None, "/api/cloud/v1/mcp", "/api/v2/connectors/enroll"):
        chunked = head(site, "Transfer-Encoding: chunked", "Accept: application/json, text/event-stream", path=path)
        status, body = await raw(elsewhere, chunked, chunks(50 * limits.MIB))
        assert (status, json.loads(body)["code"]) == (413, "payload_too_large"), path
    assert await scripted.in_thread(lambda: calls_of(site)) == []


async def test_who_sends_far_more_than_anybody_reads_loses_the_connection(elsewhere: Cloud, site: Site) -> None:
    status = None
    # That it is lost may be seen before what is said of it.
    with contextlib.suppress(ConnectionError, AssertionError):
        status, _ = await raw(elsewhere, head(site, "Transfer-Encoding: chunked"), chunks(9 * limits.BODY_BYTES))
    assert status in {None, 408, 413}
    async with elsewhere.planner(site) as planner:
        assert (await planner.get(f"{elsewhere.url}/api/v2/projects")).status_code == 200


async def test_a_length_that_is_none_is_refused_at_once(elsewhere: Cloud, site: Site) -> None:
    for length in ("-1", "abc", "9" * 30):
        status, _ = await raw(elsewhere, head(site, f"Content-Length: {length}"), [b"{}"])
        assert status in (400, 413), length
    assert await scripted.in_thread(lambda: calls_of(site)) == []


async def test_a_path_that_cannot_be_is_told_in_the_tables_form(elsewhere: Cloud, site: Site) -> None:
    told = {}
    for path in PATHS:
        status, body = await raw(elsewhere, head(site, path=path, method="GET"))
        assert status == json.loads(body)["status"]
        told[path] = json.loads(body)["code"]
    assert told == PATHS


async def test_the_doors_refuse_under_daphne_as_anywhere(elsewhere: Cloud, site: Site) -> None:
    async with elsewhere.planner(site) as planner:
        assert_problem(await planner.put("/runs"), "method_not_allowed")
        assert_problem(await planner.get(f"{elsewhere.url}/mcp"), "method_not_allowed")
        assert_problem(await planner.get(f"{elsewhere.url}/api/v2/connectors/enroll"), "method_not_allowed")
        foreign = {"Host": "evil.example"}
        for path in ("/api/v2/projects", "/mcp", "/api/v2/connectors/enroll"):
            assert_problem(await planner.get(f"{elsewhere.url}{path}", headers=foreign), "forbidden", status=421)
