"""An open link at work, between a scripted relay and a scripted daemon."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from connector_agent import config as settings
from connector_agent import identity
from connector_agent.daemon_client import DaemonClient
from connector_agent.serving import ServedLink
from connector_agent.transport import LinkLost, link_open
from local_daemon.protocol import envelopes, ids, limits
from tests.integration.connector.scripted_daemon import (
    LOG,
    PRIVATE_REPOSITORY,
    REPOSITORY,
    Answering,
    ScriptedDaemon,
    answer,
    daemon_open,
)
from tests.integration.connector.scripted_relay import WITHIN_S, RelayLink, relay_open

RUN = str(ids.new_id(ids.IdPrefix.RUN))
ARTIFACT = str(ids.new_id(ids.IdPrefix.ARTIFACT))


@dataclass(slots=True, kw_only=True)
class Served:
    """Both ends of a served link."""

    relay: RelayLink
    daemon: ScriptedDaemon
    link: ServedLink
    config: settings.Config

    async def response(self, call_id: str) -> envelopes.Response:
        return (await self.relay.until(envelopes.Response, lambda frame: frame.call_id == call_id))[0]

    def frames(self, call_id: str) -> list[envelopes.Frame]:
        return [frame for frame in self.relay.received if getattr(frame, "call_id", None) == call_id]


@asynccontextmanager
async def served(home: settings.Home, root: Path, answering: Answering) -> AsyncIterator[Served]:
    client = DaemonClient(root / "d")
    async with (
        daemon_open(root / "d", answering) as daemon,
        relay_open() as relay,
        link_open(relay.enrollment, identity.identity_read(home), ca_file=None) as socket,
    ):
        both = Served.__new__(Served)
        both.config = settings.config_read(home)
        both.link = ServedLink(socket, client, lambda: both.config)
        both.relay, both.daemon = await relay.link(), daemon
        serving = asyncio.create_task(both.link.run())
        try:
            yield both
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError, LinkLost):
                await serving
            await client.close()


def request(operation: str = "runs.get", *, deadline_ms: int = 8000, **parameters: str) -> envelopes.Request:
    known = {"repository_id": REPOSITORY, "run_id": RUN} | parameters
    return envelopes.Request(
        call_id=str(ids.new_id(ids.IdPrefix.CALL)), operation=operation, parameters=known, deadline_ms=deadline_ms
    )


def download(*, deadline_ms: int = 8000) -> envelopes.Request:
    asked = request("artifacts.content", deadline_ms=deadline_ms)
    return asked.model_copy(update={"parameters": {"repository_id": REPOSITORY, "artifact_id": ARTIFACT}})


async def say_target(target: str, writer: asyncio.StreamWriter) -> None:
    writer.write(answer({"target": target}))


async def say_nothing(target: str, writer: asyncio.StreamWriter) -> None:
    """The call stays at work."""
    await asyncio.Event().wait() if not writer.is_closing() else None


def content_of(size: int, *, sent: int | None = None) -> Answering:
    async def answering(target: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size if sent is None else sent))

    return answering


async def test_only_what_is_shared_is_advertised(home: settings.Home, root: Path) -> None:
    async with served(home, root, say_target) as both:
        advert = (await both.relay.until(envelopes.Advertise))[0]
    assert [repository.repository_id for repository in advert.repositories] == [REPOSITORY]


def with_executors(*names: str) -> Callable[[envelopes.Advertise], bool]:
    return lambda frame: frame.executors == names


async def test_executors_that_come_and_go_are_advertised_on_the_live_link(home: settings.Home, root: Path) -> None:
    async with served(home, root, say_target) as both, asyncio.timeout(WITHIN_S):
        await both.relay.until(envelopes.Advertise, with_executors())
        await both.daemon.followed.wait()
        both.daemon.executors_change("codex", "patch")
        await both.relay.until(envelopes.Advertise, with_executors("codex", "patch"))
        both.daemon.executors_change("patch")
        await both.relay.until(envelopes.Advertise, with_executors("patch"))


async def test_what_was_told_already_is_not_advertised_again(home: settings.Home, root: Path) -> None:
    async with served(home, root, say_target) as both, asyncio.timeout(WITHIN_S):
        await both.daemon.followed.wait()
        both.daemon.executors_change()
        both.daemon.executors_change("codex")
        await both.relay.until(envelopes.Advertise, with_executors("codex"))
        told = [frame.executors for frame in both.relay.received if isinstance(frame, envelopes.Advertise)]
    assert told == [(), ("codex",)]


async def test_after_the_daemon_was_away_its_executors_are_followed_again(home: settings.Home, root: Path) -> None:
    async with served(home, root, say_target) as both, asyncio.timeout(WITHIN_S):
        await both.daemon.followed.wait()
        both.daemon.followed.clear()
        both.daemon.drop()
        await both.daemon.followed.wait()
        both.daemon.executors_change("codex")
        await both.relay.until(envelopes.Advertise, with_executors("codex"))


async def test_a_daemon_that_can_not_tell_is_served_all_the_same(home: settings.Home, root: Path) -> None:
    async with served(home, root, say_target) as both:
        both.daemon.tells_executors = False
        both.daemon.drop()
        await both.relay.until(envelopes.Advertise)
        asked = request()
        await both.relay.send(asked)
        assert (await both.response(asked.call_id)).status == 200


async def test_an_allowed_call_is_carried_to_the_daemon_and_back(home: settings.Home, root: Path) -> None:
    asked = request()
    async with served(home, root, say_target) as both:
        await both.relay.send(asked)
        response = await both.response(asked.call_id)
    assert response.body == {"target": f"/api/v1/repositories/{REPOSITORY}/runs/{RUN}"}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (request("repositories.remove_everything"), "unsupported_operation"),
        (request("instance.get"), "unsupported_operation"),
        (request(repository_id=PRIVATE_REPOSITORY), "not_found"),
        (request(run_id="../../instance"), "invalid_request"),
    ],
    ids=["unknown", "local only", "not shared", "not an id"],
)
async def test_nothing_else_reaches_the_daemon(
    home: settings.Home, root: Path, asked: envelopes.Request, code: str
) -> None:
    async with served(home, root, say_target) as both:
        await both.relay.send(asked)
        response = await both.response(asked.call_id)
        assert (response.problem or {})["code"] == code
        assert both.daemon.asked == []


async def test_fifty_calls_at_once_are_each_given_their_own_answer(home: settings.Home, root: Path) -> None:
    asked = [request(run_id=str(ids.new_id(ids.IdPrefix.RUN))) for _ in range(50)]
    together = asyncio.Barrier(50)

    async def answering(target: str, writer: asyncio.StreamWriter) -> None:
        await together.wait()
        await say_target(target, writer)

    async with served(home, root, answering) as both:
        await both.relay.send(*asked)
        answered = {frame.call_id: frame for frame in await both.relay.until(envelopes.Response, count=50)}
    for one in asked:
        assert answered[one.call_id].body["target"].endswith(one.parameters["run_id"])


async def test_a_call_beyond_the_limit_may_come_again(home: settings.Home, root: Path) -> None:
    late = request()
    async with served(home, root, say_nothing) as both:
        await both.relay.send(*(request() for _ in range(limits.CALLS_IN_FLIGHT)), late)
        response = await both.response(late.call_id)
        assert (response.problem or {})["code"] == "rate_limited"


async def test_a_call_that_is_cancelled_leaves_the_daemon(home: settings.Home, root: Path) -> None:
    at_work = asyncio.Event()

    async def answering(target: str, writer: asyncio.StreamWriter) -> None:
        at_work.set()

    asked = request()
    async with served(home, root, answering) as both, asyncio.timeout(WITHIN_S):
        await both.relay.send(asked)
        await at_work.wait()
        await both.relay.send(envelopes.Cancel(call_id=asked.call_id))
        await both.daemon.left.wait()
        assert both.frames(asked.call_id) == []


async def test_a_call_that_is_cancelled_before_it_began_takes_up_no_room(home: settings.Home, root: Path) -> None:
    probe, asked = request(), request()
    async with served(home, root, say_target) as both:
        for one in [request() for _ in range(limits.CALLS_IN_FLIGHT)]:
            await both.relay.send(one, envelopes.Cancel(call_id=one.call_id))
        await both.relay.send(probe)
        await both.response(probe.call_id)
        await both.relay.send(asked)
        assert (await both.response(asked.call_id)).status == 200


async def test_a_deadline_that_passes_is_told(home: settings.Home, root: Path) -> None:
    async def answering(target: str, writer: asyncio.StreamWriter) -> None:
        """Left without an answer."""

    asked = request(deadline_ms=50)
    async with served(home, root, answering) as both:
        await both.relay.send(asked)
        assert ((await both.response(asked.call_id)).problem or {})["code"] == "deadline_exceeded"


async def test_a_call_goes_on_while_its_repository_is_unshared_and_the_next_does_not(
    home: settings.Home, root: Path
) -> None:
    at_work, may_answer = asyncio.Event(), asyncio.Event()

    async def answering(target: str, writer: asyncio.StreamWriter) -> None:
        at_work.set()
        await may_answer.wait()
        await say_target(target, writer)

    before, after = request(), request()
    async with served(home, root, answering) as both, asyncio.timeout(WITHIN_S):
        await both.relay.send(before)
        await at_work.wait()
        both.config = settings.Config()
        both.link.shares_changed()
        await both.relay.send(after)
        assert (await both.response(after.call_id)).status == 404
        may_answer.set()
        assert (await both.response(before.call_id)).status == 200


async def test_a_daemon_that_is_away_is_a_retryable_error(home: settings.Home, root: Path) -> None:
    asked = request()
    async with served(home, root, say_target) as both:
        (root / "d" / "daemon.json").unlink()
        await both.relay.send(asked)
        problem = (await both.response(asked.call_id)).problem or {}
    assert (problem["code"], problem["retryable"]) == ("connector_offline", True)


async def test_a_daemon_that_stops_in_the_middle_of_a_download_is_an_error_and_no_short_body(
    home: settings.Home, root: Path
) -> None:
    asked = download()
    async with served(home, root, content_of(1000, sent=10)) as both:
        await both.relay.send(asked)
        await both.relay.until(envelopes.Chunk)
        both.daemon.drop()
        end = (await both.relay.until(envelopes.End))[0]
        assert (end.problem or {})["code"] == "connector_offline"
        assert len([frame for frame in both.relay.received if isinstance(frame, envelopes.Response)]) == 1


async def test_a_deadline_that_passes_in_a_download_ends_its_stream(home: settings.Home, root: Path) -> None:
    asked = download(deadline_ms=300)
    async with served(home, root, content_of(1000, sent=10)) as both:
        await both.relay.send(asked)
        end = (await both.relay.until(envelopes.End))[0]
        assert (end.problem or {})["code"] == "deadline_exceeded"
        assert len([frame for frame in both.relay.received if isinstance(frame, envelopes.Response)]) == 1


async def test_a_download_runs_no_further_ahead_than_the_relay_grants(home: settings.Home, root: Path) -> None:
    size = 2 * limits.STREAM_WINDOW_BYTES
    asked = download()

    def taken_in(both: Served) -> int:
        return sum(len(frame.payload) for frame in both.relay.received if isinstance(frame, envelopes.Chunk))

    async with served(home, root, content_of(size)) as both:
        await both.relay.send(asked)
        await both.relay.until(
            envelopes.Chunk, lambda frame: frame.offset + len(frame.payload) == limits.STREAM_WINDOW_BYTES
        )
        other = request("artifacts.everything")
        await both.relay.send(other)
        await both.response(other.call_id)
        assert taken_in(both) == limits.STREAM_WINDOW_BYTES
        await both.relay.send(envelopes.Credit(call_id=asked.call_id, limit=size))
        end = (await both.relay.until(envelopes.End))[0]
        assert (end.size_bytes, end.problem, taken_in(both)) == (size, None, size)


async def test_events_of_a_repository_that_is_not_shared_any_more_stop_at_once(home: settings.Home, root: Path) -> None:
    followed = asyncio.Event()

    async def answering(target: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        followed.set()

    async with served(home, root, answering) as both, asyncio.timeout(WITHIN_S):
        await both.relay.send(envelopes.Follow(repository_id=REPOSITORY, log_id=LOG, after_seq=41))
        await followed.wait()
        assert both.daemon.asked[0].endswith("after_seq=41")
        both.config = settings.Config()
        both.link.shares_changed()
        await both.daemon.left.wait()


async def test_a_drained_link_finishes_its_calls_and_takes_no_more(home: settings.Home, root: Path) -> None:
    at_work, may_answer = asyncio.Event(), asyncio.Event()

    async def answering(target: str, writer: asyncio.StreamWriter) -> None:
        at_work.set()
        await may_answer.wait()
        await say_target(target, writer)

    before, after = request(), request()
    async with served(home, root, answering) as both, asyncio.timeout(WITHIN_S):
        await both.relay.send(before)
        await at_work.wait()
        draining = asyncio.create_task(both.link.drain())
        await both.relay.until(envelopes.Advertise, lambda frame: frame.is_draining)
        await both.relay.send(after)
        assert (await both.response(after.call_id)).status == 429
        may_answer.set()
        await draining
        assert (await both.response(before.call_id)).status == 200
        assert await both.relay.until(envelopes.Goodbye)
