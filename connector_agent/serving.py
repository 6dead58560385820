"""An open link at work: a task for each call, a tail for each followed log, and an advertisement whenever what is
shared, the daemon, or what it can work with changes.

The reader never waits for a handler, so one slow call holds up no other. Called by `dialer`.
Tests: tests/integration/connector/test_serving.py.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from connector_agent import comparison
from connector_agent.config import Config
from connector_agent.daemon_client import DaemonClient
from connector_agent.event_tail import EventTail
from connector_agent.forwarder import Forwarder
from connector_agent.transport import FrameSocket, LinkLost
from local_daemon.protocol import envelopes, errors, limits

logger = logging.getLogger(__name__)

_DAEMON_RETRY_S = 0.5
_DRAIN_S = 20.0


class ServedLink:
    """Everything that goes on while one link is open."""

    def __init__(
        self,
        socket: FrameSocket,
        daemon: DaemonClient,
        config: Callable[[], Config],
        *,
        put_back: Callable[[Sequence[comparison.PutBack]], None] = lambda _: None,
    ) -> None:
        """`config` gives the settings as they are now; `put_back` is told which logs lack what the cloud took in."""
        self._socket = socket
        self._daemon = daemon
        self._config = config
        self._forwarder = Forwarder(
            daemon=daemon,
            is_shared=lambda repository_id: repository_id in config().shared(),
            send=socket.send,
            send_stream=self._stream_send,
            refuse=self._refuse,
        )
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._senders: dict[str, envelopes.StreamSender] = {}
        self._granted: dict[str, asyncio.Event] = {}
        self._bodies: dict[str, asyncio.Queue[envelopes.Chunk | envelopes.End]] = {}
        self._tails: dict[str, tuple[EventTail, asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._advertised = asyncio.Event()
        self._executors: frozenset[str] = frozenset()
        self._is_draining = False
        self._put_back_tell = put_back
        self._put_back: dict[str, comparison.PutBack] = {}
        self._advertisements = 0
        self._renewed = asyncio.Event()

    async def run(self) -> None:
        """Serve until the link is lost. Raises LinkLost."""
        duties = [
            asyncio.create_task(self._read(), name="read"),
            asyncio.create_task(self._socket.keep_alive(), name="keep alive"),
            asyncio.create_task(self._advertise_forever(), name="advertise"),
            asyncio.create_task(self._renew(), name="renew"),
        ]
        self._spawn(self._executors_follow())
        self._changed.set()
        try:
            done, _ = await asyncio.wait(duties, return_when=asyncio.FIRST_COMPLETED)
            for duty in done:
                duty.result()
        finally:
            tails = [task for _, task in self._tails.values()]
            everything = [*duties, *self._calls.values(), *tails, *self._tasks]
            for task in everything:
                task.cancel()
            await asyncio.gather(*everything, return_exceptions=True)

    def shares_changed(self) -> None:
        """Advertise again: the settings, or the daemon, are not what they were."""
        shared = self._config().shared()
        for repository_id in [known for known in self._tails if known not in shared]:
            # At once: no event of what is not shared any more leaves the machine. Calls at work end as they would.
            self._tails.pop(repository_id)[1].cancel()
            self._compared(repository_id, None)
        self._changed.set()

    async def drain(self) -> None:
        """Take nothing more, finish the calls in flight, and say goodbye."""
        self._is_draining = True
        self._changed.set()
        if self._calls:
            await asyncio.wait(self._calls.values(), timeout=_DRAIN_S)
        await self._socket.goodbye("connector_offline", "the connector was stopped")

    # -- in

    async def _read(self) -> None:
        while True:
            frame = await self._socket.receive()
            if isinstance(frame, envelopes.Follow):
                await self._follow(frame)
            elif isinstance(frame, envelopes.Ack):
                if found := self._tails.get(frame.repository_id):
                    found[0].acknowledge(frame)
            else:
                self._on_call_frame(frame)

    def _on_call_frame(self, frame: envelopes.Frame) -> None:
        """What belongs to one call; frames of a call that is over are late, not wrong."""
        match frame:
            case envelopes.Request():
                self._on_request(frame)
            case envelopes.Cancel():
                if task := self._calls.get(frame.call_id):
                    task.cancel()
            case envelopes.Chunk() | envelopes.End():
                if (body := self._bodies.get(frame.call_id)) is not None:
                    body.put_nowait(frame)
            case envelopes.Credit():
                self._on_credit(frame)

    def _on_request(self, request: envelopes.Request) -> None:
        if request.call_id in self._calls:
            return  # Redelivered while it is still at work: its answer is on its way.
        if self._is_draining or len(self._calls) >= limits.CALLS_IN_FLIGHT:
            refusal = errors.RateLimited(retry_after_s=limits.RETRY_AFTER_S["rate_limited"])
            self._spawn(self._refuse(request.call_id, refusal))
            return
        if request.stream is not None:
            self._bodies[request.call_id] = asyncio.Queue()
        call = self._calls[request.call_id] = asyncio.create_task(self._carry(request), name=request.call_id)
        # Not the task's own `finally`: one that is cancelled before its first step never comes to it.
        call.add_done_callback(lambda _: self._forget(request.call_id))

    def _forget(self, call_id: str) -> None:
        for kept in (self._calls, self._bodies, self._senders, self._granted):
            kept.pop(call_id, None)

    async def _carry(self, request: envelopes.Request) -> None:
        """The outermost frame of a call: whatever fails in it is told, and the link goes on."""
        try:
            await self._forwarder.forward(request, lambda head: self._body_read(request.call_id, head))
        except LinkLost:
            return  # The relay hands the call to the next link; the daemon knows it by its id.
        except Exception:
            logger.exception("call crashed", extra={"event": "call.crashed", "call_id": request.call_id})
            with contextlib.suppress(LinkLost):
                await self._refuse(request.call_id, errors.Internal())

    async def _refuse(self, call_id: str, error: errors.RopewayError) -> None:
        """Tell what went wrong: as the answer, or at the end of one that has begun."""
        sender = self._senders.get(call_id)
        if sender is not None:
            await self._socket.send(sender.end(error.problem()))
            return
        await self._socket.send(envelopes.Response(call_id=call_id, status=error.row.http, problem=error.problem()))

    # -- streams

    async def _body_read(self, call_id: str, head: envelopes.StreamHead) -> bytes:
        """A request's body that follows its frame. Raises PayloadTooLarge, InvalidRequest for a damaged one."""
        receiver = envelopes.StreamReceiver(call_id=call_id, head=head, max_bytes=limits.BODY_BYTES)
        content = bytearray()
        try:
            while True:
                frame = await self._bodies[call_id].get()
                if isinstance(frame, envelopes.End):
                    receiver.finish(frame)
                    return bytes(content)
                content += receiver.feed(frame)
                credit = receiver.consume(len(frame.payload))
                if credit is not None:
                    await self._socket.send(credit)
        finally:
            # Whatever comes after its end, or after a refusal, is kept for nobody.
            self._bodies.pop(call_id, None)

    async def _stream_send(self, head: envelopes.Response, pieces: AsyncIterator[bytes]) -> None:
        """Send an answer's head, then its bytes as the relay grants. Whatever it raises is for `_refuse` to tell."""
        sender = self._senders[head.call_id] = envelopes.StreamSender(call_id=head.call_id)
        self._granted[head.call_id] = asyncio.Event()
        await self._socket.send(head)
        async for piece in pieces:
            await self._piece_send(sender, piece)
        await self._socket.send(sender.end())

    async def _piece_send(self, sender: envelopes.StreamSender, piece: bytes) -> None:
        sent = 0
        while sent < len(piece):
            if sender.allowance == 0:
                self._granted[sender.call_id].clear()
                await self._granted[sender.call_id].wait()
                continue
            part = piece[sent : sent + sender.allowance]
            await self._socket.send(sender.chunk(part))
            sent += len(part)

    def _on_credit(self, credit: envelopes.Credit) -> None:
        sender = self._senders.get(credit.call_id)
        if sender is not None:
            sender.grant(credit.limit)
            self._granted[credit.call_id].set()

    # -- events and advertisements

    async def _follow(self, follow: envelopes.Follow) -> None:
        before = self._tails.pop(follow.repository_id, None)
        if before is not None:
            before[1].cancel()
            await asyncio.gather(before[1], return_exceptions=True)
        if follow.repository_id not in self._config().shared():
            return
        tail = EventTail(
            follow,
            daemon=self._daemon,
            send=self._socket.send,
            compared=lambda found: self._compared(follow.repository_id, found),
        )
        self._tails[follow.repository_id] = (tail, asyncio.create_task(self._tail(tail), name="tail"))

    def _compared(self, repository_id: str, found: comparison.PutBack | None) -> None:
        """A log was compared with what the cloud took in of it."""
        if found == self._put_back.get(repository_id):
            return
        if found is None:
            del self._put_back[repository_id]
        else:
            self._put_back[repository_id] = found
        self._put_back_tell(tuple(self._put_back.values()))
        if found is not None:
            logger.error("a log was put back", extra={"event": "log.put_back", **found.document()})
            if self._advertisements > 1:
                self._renewed.set()

    async def _renew(self) -> None:
        """Raises LinkLost when a log was put back while the link was open. Of where a log ends the cloud believes the
        first that a link says: what is said later may have crossed with the link's own events."""
        await self._renewed.wait()
        raise LinkLost("a log was put back; the cloud is told by a new link")

    async def _tail(self, tail: EventTail) -> None:
        try:
            await tail.run()
        except LinkLost:
            return
        except errors.RopewayError as error:
            # The daemon went, or keeps another log: what it has now is advertised, and the relay says where to begin.
            logger.info("tail ended: %s", error, extra={"event": "tail.ended", "code": error.code})
            self._changed.set()
        except Exception:
            # What this connector cannot read does not become readable by asking again.
            logger.exception("tail crashed", extra={"event": "tail.crashed"})

    async def _advertise_forever(self) -> None:
        """Tell what is shared now, each time it changes; while the daemon is away, until it is back."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                advertisement = await self._advertisement()
                await self._socket.send(advertisement)
                self._advertisements += 1
                self._executors = frozenset(advertisement.executors)
                self._advertised.set()
            except errors.RopewayError as error:
                logger.info("daemon away: %s", error, extra={"event": "daemon.away"})
                await asyncio.sleep(_DAEMON_RETRY_S)
                self._changed.set()

    async def _executors_follow(self) -> None:
        """Advertise anew when other executors can be used than were told, and when the daemon went."""
        while True:
            await self._advertised.wait()
            try:
                async for usable in self._daemon.executors():
                    if usable != self._executors:
                        self._changed.set()
            except errors.ConnectorOffline:
                self._advertised.clear()
                self._changed.set()
            except errors.RopewayError as error:
                logger.info("executors not followed: %s", error, extra={"event": "executors.not_followed"})
                return
            except Exception:
                # What this connector cannot read does not become readable by asking again.
                logger.exception("following executors crashed", extra={"event": "executors.crashed"})
                return

    async def _advertisement(self) -> envelopes.Advertise:
        instance = await self._daemon.instance()
        shared = self._config().shared()
        known = (await self._daemon.repositories()).items
        return envelopes.Advertise(
            instance_id=instance.instance_id,
            instance_version=instance.version,
            hostname=instance.hostname,
            platform=instance.platform,
            executors=tuple(executor.name for executor in instance.executors if executor.is_available),
            repositories=tuple(
                envelopes.RepositoryAdvert(
                    repository_id=repository.repository_id,
                    label=shared[repository.repository_id] or repository.label,
                    log_id=repository.log_id,
                    head_seq=repository.head_seq,
                    head_hash=repository.head_hash,
                    default_branch=repository.default_branch,
                )
                for repository in known
                if repository.repository_id in shared
            ),
            is_draining=self._is_draining,
            takes_after_hash=True,
        )

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
