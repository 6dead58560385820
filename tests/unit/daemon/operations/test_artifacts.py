"""Evidence through its operations: records, bytes, ranges, and output as text."""

from pathlib import Path

import pytest
import pytest_asyncio

from local_daemon.artifacts import services as artifacts
from local_daemon.artifacts.records import Artifact, ArtifactKind
from local_daemon.attempts import services as attempts
from local_daemon.attempts.records import Attempt
from local_daemon.operations.context import ContentStream
from local_daemon.protocol import errors, messages, wire
from local_daemon.protocol.ids import RepositoryId, RunId, StepId
from local_daemon.storage.transaction import Transaction
from tests.unit.daemon.operations.conftest import Desk


@pytest_asyncio.fixture
async def step(desk: Desk) -> messages.StepView:
    """A step with one attempt."""
    return await desk.submit(await desk.run_id())


@pytest_asyncio.fixture
async def attempt(desk: Desk, step: messages.StepView) -> Attempt:
    """The step's attempt."""
    return await desk.context.database.write(
        "test",
        lambda tx: attempts.attempt_lease(
            tx,
            step_id=StepId(step.step_id),
            run_id=RunId(step.run_id),
            repository_id=RepositoryId(step.repository_id),
            executor="fake",
            epoch=1,
        ),
    )


async def _keep(desk: Desk, attempt: Attempt, content: bytes, kind: ArtifactKind = ArtifactKind.STDOUT) -> Artifact:
    blob = desk.context.blobs.blob_put_bytes(content)

    def apply(tx: Transaction) -> Artifact:
        return artifacts.artifact_record(
            tx,
            step_id=attempt.step_id,
            attempt_id=attempt.attempt_id,
            run_id=attempt.run_id,
            repository_id=attempt.repository_id,
            kind=kind,
            name="stdout.log",
            media_type="text/plain",
            blob=blob,
        )

    return await desk.context.database.write("test", apply)


async def _read(desk: Desk, artifact: Artifact, **query: int) -> tuple[ContentStream, bytes]:
    stream = await desk.call("artifacts.content", artifact_id=artifact.artifact_id, query=query)
    assert isinstance(stream, ContentStream)
    return stream, b"".join([piece async for piece in stream.chunks])


async def test_an_artifact_is_listed_and_its_bytes_are_whole(desk: Desk, attempt: Attempt) -> None:
    content = bytes(range(256)) * 4000
    artifact = await _keep(desk, attempt, content)
    (listed,) = (await desk.call("artifacts.list", step_id=attempt.step_id)).items
    assert listed == await desk.call("artifacts.get", artifact_id=artifact.artifact_id)
    stream, read = await _read(desk, artifact)
    assert read == content
    assert (stream.size_bytes, stream.offset, stream.length) == (len(content), 0, len(content))
    assert stream.sha256 == listed.sha256 == wire.sha256_hex(content)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"offset": 3}, b"3456789"),
        ({"offset": 3, "length": 2}, b"34"),
        ({"offset": 8, "length": 100}, b"89"),
        ({"offset": 10}, b""),
    ],
)
async def test_a_range_is_what_was_asked_for(
    desk: Desk, attempt: Attempt, query: dict[str, int], expected: bytes
) -> None:
    artifact = await _keep(desk, attempt, b"0123456789")
    stream, read = await _read(desk, artifact, **query)
    assert (read, stream.length, stream.size_bytes) == (expected, len(expected), 10)


async def test_a_range_beyond_the_end_is_refused(desk: Desk, attempt: Attempt) -> None:
    artifact = await _keep(desk, attempt, b"0123456789")
    with pytest.raises(errors.RangeInvalid) as refused:
        await _read(desk, artifact, offset=11)
    assert refused.value.attributes == {"size_bytes": 10}


async def test_damaged_bytes_never_end_well(desk: Desk, attempt: Attempt, tmp_path: Path) -> None:
    artifact = await _keep(desk, attempt, b"0123456789")
    path = tmp_path / "artifacts" / artifact.sha256[:2] / artifact.sha256[2:]
    path.write_bytes(b"0123456780")
    with pytest.raises(errors.Internal):
        await _read(desk, artifact)
    path.write_bytes(b"012")
    with pytest.raises(errors.Internal):
        await _read(desk, artifact)
    path.unlink()
    with pytest.raises(errors.NotFound):
        await _read(desk, artifact)


async def test_output_is_read_piece_by_piece_without_breaking_characters(desk: Desk, attempt: Attempt) -> None:
    text = "grüße 🌉 ende"
    await _keep(desk, attempt, text.encode())
    offset, pieces, is_complete = 0, [], False
    while not is_complete:
        chunk = await desk.call("steps.log", step_id=attempt.step_id, query={"offset": offset, "length": 1})
        assert chunk.next_offset > offset
        offset, is_complete = chunk.next_offset, chunk.is_complete
        pieces.append(chunk.text)
    assert "".join(pieces) == text


async def test_output_that_is_no_text_is_shown_as_well_as_can_be(desk: Desk, attempt: Attempt) -> None:
    await _keep(desk, attempt, b"ok\xff\xfe")
    chunk = await desk.call("steps.log", step_id=attempt.step_id)
    assert (chunk.text, chunk.next_offset, chunk.is_complete) == ("ok��", 4, True)


async def test_output_of_an_attempt_at_work_is_not_there_yet(desk: Desk, attempt: Attempt) -> None:
    chunk = await desk.call("steps.log", step_id=attempt.step_id)
    assert (chunk.attempt_id, chunk.text, chunk.is_complete) == (attempt.attempt_id, "", False)


async def test_output_of_an_attempt_of_another_step_is_not_found(desk: Desk, attempt: Attempt) -> None:
    other = await desk.submit(attempt.run_id)
    with pytest.raises(errors.NotFound):
        await desk.call("steps.log", step_id=other.step_id, query={"attempt_id": attempt.attempt_id})
