"""Bytes of one call, in one direction, within their credit.

`IncomingStream` is what a machine sends after its answer's head: read at the reader's pace, credit granted as it is
taken. `OutgoingBody` is a request's body too large for its frame. Flow control itself is `protocol.envelopes`.
Tests: tests/unit/relay/test_streams.py.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from local_daemon.protocol import envelopes, errors, limits

SendFrame = Callable[[envelopes.Frame], Awaitable[None]]


class IncomingStream:
    """A machine's bytes on their way to whoever reads them. At most a window's worth waits here."""

    def __init__(
        self, call_id: str, head: envelopes.StreamHead, *, send: SendFrame, on_close: Callable[[], None]
    ) -> None:
        """`on_close` is told once, when nothing more will be read from the link."""
        self.head = head
        self._call_id = call_id
        self._send = send
        self._on_close = on_close
        self._receiver = envelopes.StreamReceiver(call_id=call_id, head=head)
        self._arrived: asyncio.Queue[bytes | errors.RopewayError | None] = asyncio.Queue()
        self._is_over = False

    def feed(self, chunk: envelopes.Chunk) -> None:
        """The next bytes came in. Raises InvalidRequest where the sender broke order, credit or the size it said."""
        if not self._is_over:
            self._arrived.put_nowait(self._receiver.feed(chunk))
            if self.head.size_bytes is not None and self._receiver.received > self.head.size_bytes:
                raise errors.InvalidRequest("stream longer than its head said")

    def finish(self, end: envelopes.End) -> None:
        """The sender says that was all; a mismatch reaches the reader as an error."""
        try:
            self._receiver.finish(end)
            if self.head.size_bytes not in (None, self._receiver.received):
                raise errors.InvalidRequest("stream shorter than its head said")
        except errors.RopewayError as error:
            self.fail(error)
        else:
            self._close(None)

    def fail(self, error: errors.RopewayError) -> None:
        """No more will come; the reader gets the error after what did."""
        self._close(error)

    def _close(self, last: errors.RopewayError | None) -> None:
        if not self._is_over:
            self._is_over = True
            self._arrived.put_nowait(last)
            self._on_close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes, as they come. Raises what ended them early, and DeadlineExceeded when nothing comes for long."""
        while True:
            try:
                async with asyncio.timeout(limits.CALL_DEADLINE_S_MAX):
                    arrived = await self._arrived.get()
            except TimeoutError:
                await self.aclose()
                raise errors.DeadlineExceeded("The machine stopped in the middle of its answer.") from None
            if isinstance(arrived, errors.RopewayError):
                raise arrived
            if arrived is None:
                return
            credit = self._receiver.consume(len(arrived))
            if credit is not None and not self._is_over:
                await self._send(credit)
            yield arrived

    async def aclose(self) -> None:
        """No more is wanted: tell the machine to stop, unless it is done."""
        if not self._is_over:
            self._close(errors.DeadlineExceeded("The reader went away."))
            await self._send(envelopes.Cancel(call_id=self._call_id))

    async def read(self, *, max_bytes: int) -> bytes:
        """All of it. Raises PayloadTooLarge over `max_bytes`, and what ended it early."""
        pieces = []
        size = 0
        try:
            async for piece in self:
                size += len(piece)
                if size > max_bytes:
                    raise errors.PayloadTooLarge("The content is too large here; read it in ranges.", limit=max_bytes)
                pieces.append(piece)
        finally:
            await self.aclose()
        return b"".join(pieces)


class OutgoingBody:
    """A request's body that follows its frame in chunks, as far as the machine grants."""

    def __init__(self, call_id: str, content: bytes, *, send: SendFrame) -> None:
        self._content = content
        self._send = send
        self._sender = envelopes.StreamSender(call_id=call_id)
        self._granted = asyncio.Event()

    def grant(self, limit: int) -> None:
        """The machine takes more."""
        self._sender.grant(limit)
        self._granted.set()

    async def send(self) -> None:
        """Send all of it; waits for credit, and ends when cancelled."""
        while self._sender.offset < len(self._content):
            allowance = min(self._sender.allowance, limits.CHUNK_BYTES)
            if not allowance:
                self._granted.clear()
                await self._granted.wait()
                continue
            start = self._sender.offset
            await self._send(self._sender.chunk(self._content[start : start + allowance]))
        await self._send(self._sender.end())
