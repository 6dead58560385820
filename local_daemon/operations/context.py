"""What handlers work with, and what one call asks: the record, the evidence, and the ports to what lies beside them.

Made once by `bootstrap`; a `Call` is made by the registry for each call. It decides nothing.
Tests: tests/unit/daemon/operations/.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import BaseModel

from local_daemon.artifacts import store as artifact_store
from local_daemon.attempts import records as attempt_records
from local_daemon.config import home as homes
from local_daemon.processes import capture, growth
from local_daemon.protocol import errors, garbage, ids, messages, policies
from local_daemon.protocol.operation import Operation
from local_daemon.storage import database
from local_daemon.storage.wake import Wake
from local_daemon.worktrees import folders, inspection

M = TypeVar("M", bound=BaseModel)


class Scheduler(Protocol):
    """Whoever carries steps out. What it is told are hints after a commit: the record is what counts."""

    def wake(self) -> None:
        """Something may be due."""

    def cancel(self, step_id: ids.StepId) -> None:
        """This step was asked to end while it is at work."""

    async def edits_record(self, step_id: ids.StepId) -> str | None:
        """Record what the step's newest attempt left when it was given up; answers the ref, None where nothing is."""


class LiveLogs(Protocol):
    """The logs of attempts that are no artifacts yet, by the names `stdout` and `stderr`."""

    async def read(
        self, attempt: attempt_records.Attempt, name: str, *, offset: int, length: int
    ) -> capture.Piece | None:
        """A piece of what is there by now; None where there is nothing."""

    def followed(self, attempt_id: ids.AttemptId, name: str) -> AbstractContextManager[growth.Growing | None]:
        """Be told when the log grows; None where nothing tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationContext:
    """The parts every handler may use."""

    database: database.Database
    blobs: artifact_store.BlobStore
    scheduler: Scheduler
    live_logs: LiveLogs
    instance_view: Callable[[], messages.InstanceView]  # as it was last seen
    inspect_repository: Callable[[Path], Awaitable[inspection.RepositoryFacts]]
    operator_policy: policies.Policy | None = None
    home: homes.Home | None = None
    instance_look: Callable[[], Awaitable[messages.InstanceView]] | None = None  # as it is now
    instance_wake: Wake = field(default_factory=Wake)  # other executors can be used than before
    instance_watched: Callable[[], AbstractAsyncContextManager[None]] = nullcontext  # while somebody waits for it
    collect_garbage: Callable[[bool], Awaitable[garbage.GarbageView]] | None = None
    folder_limits: folders.FolderLimits = field(default_factory=folders.FolderLimits)

    @property
    def trusted_root(self) -> Path:
        """Where git directories of ours lie. Raises UnsupportedOperation."""
        if self.home is None:
            raise errors.UnsupportedOperation("This daemon has no home of its own.")
        return self.home.trusted


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentStream:
    """Bytes as an answer. `size_bytes` and `sha256` are of the whole content; `chunks` yields `length` bytes of it from
    `offset` and raises Internal instead of ending where the bytes turn out to be damaged."""

    media_type: str
    size_bytes: int
    sha256: str
    offset: int
    length: int
    chunks: AsyncIterator[bytes]


Answer = BaseModel | ContentStream


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of one operation; `actor` is who asks, for the record. Only a mutating call has a body."""

    operation: Operation
    parameters: Mapping[str, str]
    query: BaseModel | None
    body: BaseModel | None
    call_id: ids.CallId | None
    actor: str

    @property
    def repository_id(self) -> ids.RepositoryId:
        """The repository it names."""
        return ids.RepositoryId(self.parameters["repository_id"])

    @property
    def run_id(self) -> ids.RunId:
        """The run it names."""
        return ids.RunId(self.parameters["run_id"])

    @property
    def step_id(self) -> ids.StepId:
        """The step it names."""
        return ids.StepId(self.parameters["step_id"])

    @property
    def gate_id(self) -> ids.GateId:
        """The gate it names."""
        return ids.GateId(self.parameters["gate_id"])

    def query_as(self, model: type[M]) -> M:
        """The query, as the model the operation's table names."""
        return _as(model, self.query)

    def body_as(self, model: type[M]) -> M:
        """The body, as the model the operation's table names."""
        return _as(model, self.body)


Handler = Callable[[OperationContext, Call], Awaitable[Answer]]


def _as(model: type[M], message: BaseModel | None) -> M:
    if not isinstance(message, model):
        raise errors.InvalidRequest(f"this operation takes a {model.__name__}")
    return message
