"""Handlers of evidence: an artifact's record, its bytes, and the output as text.

Called by `registry`. Tests: tests/unit/daemon/operations/test_artifacts.py.
"""

import asyncio
import codecs
import hashlib
from collections.abc import AsyncIterator
from contextlib import ExitStack, closing
from typing import Any

from pydantic import BaseModel

from local_daemon.artifacts import selectors
from local_daemon.artifacts.records import Artifact, ArtifactKind
from local_daemon.artifacts.store import BlobStore
from local_daemon.attempts import selectors as attempts
from local_daemon.attempts.lifecycle import UNFINISHED
from local_daemon.attempts.records import Attempt
from local_daemon.operations.context import Answer, Call, ContentStream, OperationContext
from local_daemon.processes import capture, growth
from local_daemon.protocol import errors, ids, messages
from local_daemon.scheduler import outputs
from local_daemon.steps import selectors as steps
from local_daemon.storage import database

_CHUNK_BYTES = 256 * 1024
_LONGEST_CHARACTER_BYTES = 4


async def artifact_get(context: OperationContext, call: Call) -> BaseModel:
    """One artifact's record."""
    return selectors.artifact_view(_artifact(context, call))


async def artifact_content(context: OperationContext, call: Call) -> Answer:
    """The bytes of one artifact, or a range of them."""
    asked = call.query_as(messages.ContentQuery)
    artifact = _artifact(context, call)
    rest = artifact.size_bytes - asked.offset
    if rest < 0:
        raise errors.RangeInvalid(size_bytes=artifact.size_bytes)
    _kept_require(artifact)
    if not await asyncio.to_thread(context.blobs.blob_exists, artifact.sha256):
        raise errors.NotFound("The bytes of this artifact are not on the machine any more.")
    length = rest if asked.length is None else min(asked.length, rest)
    return ContentStream(
        media_type=artifact.media_type,
        size_bytes=artifact.size_bytes,
        sha256=artifact.sha256,
        offset=asked.offset,
        length=length,
        chunks=_chunks(context.blobs, artifact, offset=asked.offset, length=length),
    )


async def step_log(context: OperationContext, call: Call) -> BaseModel:
    """A piece of an attempt's output; with `wait_s`, held back until there is one, all was said or the time is over.
    What is said wakes it, and commits that touch the step."""
    asked = call.query_as(messages.LogQuery)
    deadline = asyncio.get_running_loop().time() + asked.wait_s
    wake, is_over = context.database.wake, asked.wait_s == 0
    following: growth.Growing | None = None
    with ExitStack() as stack:
        while True:
            committed, grown = wake.mark, 0 if following is None else following.mark
            chunk = await _log_now(context, call, asked)
            if chunk.text or chunk.is_complete or is_over:
                return chunk
            if following is None and chunk.attempt_id is not None:
                attempt_id = ids.AttemptId(chunk.attempt_id)
                following = stack.enter_context(context.live_logs.followed(attempt_id, asked.stream))
                if following is not None:
                    continue  # It may have grown before anybody watched.
            waiting: set[asyncio.Future[Any]] = {
                asyncio.ensure_future(wake.wait_for_change(after=committed, topic=call.step_id))
            }
            if following is not None:
                waiting.add(following.grown(after=grown))
            try:
                left_s = max(0.0, deadline - asyncio.get_running_loop().time())
                done, _ = await asyncio.wait(waiting, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waiting:
                    each.cancel()
            is_over = not done


async def _log_now(context: OperationContext, call: Call, asked: messages.LogQuery) -> messages.LogChunk:
    """What there is at once: of the artifact, or while there is none yet, of what has come so far."""
    attempt, artifact = _logged(context, call, asked)
    piece: capture.Piece | None = None
    length = max(asked.length, _LONGEST_CHARACTER_BYTES)
    if attempt is not None and artifact is None:
        piece = await context.live_logs.read(attempt, asked.stream, offset=asked.offset, length=length)
        if piece is None and attempt.state in UNFINISHED:
            attempt, artifact = _logged(context, call, asked)  # It may have become an artifact meanwhile.
    if artifact is not None:
        _kept_require(artifact)
        piece = await asyncio.to_thread(_artifact_piece, context.blobs, artifact, offset=asked.offset, length=length)
    is_ended = attempt is not None and attempt.state not in UNFINISHED
    if piece is None:
        return messages.LogChunk(
            stream=asked.stream,
            attempt_id=None if attempt is None else attempt.attempt_id,
            offset=0,
            next_offset=0,
            size_bytes=0,
            is_complete=is_ended,
            text="",
        )
    assert attempt is not None
    return _log_chunk(piece, asked, attempt_id=attempt.attempt_id, is_ended=is_ended or artifact is not None)


def _logged(context: OperationContext, call: Call, asked: messages.LogQuery) -> tuple[Attempt | None, Artifact | None]:
    kind = ArtifactKind.STDOUT if asked.stream == "stdout" else ArtifactKind.STDERR

    def query(conn: database.Connection) -> tuple[Attempt | None, Artifact | None]:
        step = steps.step_get(conn, call.step_id, repository_id=call.repository_id)
        if asked.attempt_id is None:
            attempt = attempts.attempt_newest(conn, step.step_id)
        else:
            attempt = attempts.attempt_get(conn, asked.attempt_id)
            if attempt.step_id != step.step_id:
                raise errors.NotFound("No such attempt of this step.", attempt_id=asked.attempt_id)
        return attempt, None if attempt is None else selectors.artifact_of_kind(conn, attempt.attempt_id, kind)

    return context.database.read(query)


def _artifact_piece(blobs: BlobStore, artifact: Artifact, *, offset: int, length: int) -> capture.Piece:
    with closing(blobs.blob_open(artifact.sha256)) as file:
        return outputs.log_read(file, artifact.size_bytes, offset=offset, length=length)


def _log_chunk(piece: capture.Piece, asked: messages.LogQuery, *, attempt_id: str, is_ended: bool) -> messages.LogChunk:
    is_last = is_ended and piece.next_offset >= piece.size_bytes
    # A character cut by the end of the piece is left for the next one, where there is more of it.
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(piece.content, is_last or piece.is_torn)
    next_offset = piece.next_offset - len(decoder.getstate()[0])
    return messages.LogChunk(
        stream=asked.stream,
        attempt_id=attempt_id,
        offset=asked.offset,
        next_offset=next_offset,
        size_bytes=piece.size_bytes,
        is_complete=is_last,
        text=text,
    )


def _kept_require(artifact: Artifact) -> None:
    """Raises Expired for evidence whose bytes were let go."""
    if artifact.expired_at is not None:
        raise errors.Expired(
            f"The bytes of this artifact expired on {artifact.expired_at:%Y-%m-%d} by the machine's retention; its "
            "digest is in the signed manifest.",
            artifact_id=artifact.artifact_id,
        )


async def _chunks(blobs: BlobStore, artifact: Artifact, *, offset: int, length: int) -> AsyncIterator[bytes]:
    is_whole = length == artifact.size_bytes
    digest, left = hashlib.sha256(), length
    with closing(await asyncio.to_thread(blobs.blob_open, artifact.sha256)) as file:
        file.seek(offset)
        while left > 0:
            piece = await asyncio.to_thread(file.read, min(left, _CHUNK_BYTES))
            if not piece:
                raise errors.Internal("The bytes of this artifact are damaged on the machine.")
            left -= len(piece)
            digest.update(piece)
            if is_whole and left == 0 and digest.hexdigest() != artifact.sha256:
                raise errors.Internal("The bytes of this artifact are damaged on the machine.")
            yield piece


def _artifact(context: OperationContext, call: Call) -> Artifact:
    return context.database.read(
        lambda conn: selectors.artifact_get(conn, call.parameters["artifact_id"], repository_id=call.repository_id)
    )
