"""Operations called as `http_api` calls them, on a real record, with a scheduler that only listens."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest_asyncio
from pydantic import BaseModel

from local_daemon.artifacts.store import BlobStore
from local_daemon.operations import registry
from local_daemon.operations.context import OperationContext
from local_daemon.protocol import ids, messages
from local_daemon.protocol.operations import OPERATIONS
from local_daemon.storage.database import Database
from local_daemon.worktrees import inspection
from tests.record import record_lay

HEAD = "1" * 40


@dataclass
class ListeningScheduler:
    """Remembers what it was told."""

    wakes: int = 0
    cancelled: list[str] = field(default_factory=list)

    def wake(self) -> None:
        self.wakes += 1

    async def edits_record(self, step_id: ids.StepId) -> str | None:
        return None

    def cancel(self, step_id: ids.StepId) -> None:
        self.cancelled.append(step_id)


class NoLiveLogs:
    """Of attempts that nobody carries out there is no log."""

    async def read(self, attempt: object, name: str, *, offset: int, length: int) -> None:
        return None

    def followed(self, attempt_id: str, name: str) -> AbstractContextManager[None]:
        return nullcontext()


@dataclass
class Desk:
    """Where calls come in."""

    context: OperationContext
    scheduler: ListeningScheduler
    repository_id: str = ""

    async def call(
        self,
        name: str,
        *,
        body: dict[str, Any] | None = None,
        query: dict[str, Any] | None = None,
        call_id: str | None = None,
        **parameters: str,
    ) -> Any:
        """One call; the repository is the desk's unless another is named."""
        operation = OPERATIONS[name]
        if "repository_id" in operation.parameters:
            parameters.setdefault("repository_id", self.repository_id)
        message: BaseModel | None = None
        if operation.request is not None:
            message = operation.request.model_validate({} if body is None else body)
        return await registry.call_operation(
            self.context,
            operation,
            parameters=parameters,
            query=None if query is None or operation.query is None else operation.query.model_validate(query),
            body=message,
            call_id=call_id,
            actor="tester",
        )

    async def run_id(self) -> str:
        """A new run's id."""
        return str((await self.call("runs.create", body={"objective": "Greet."})).run.run_id)

    async def submit(self, run_id: str, **task: Any) -> messages.StepView:
        """A new step."""
        answer = await self.call(
            "steps.submit", run_id=run_id, body={"task": {"goal": "g", "executor": "fake", **task}}
        )
        assert isinstance(answer, messages.StepAnswer)
        return answer.step


async def _inspect(path: Path) -> inspection.RepositoryFacts:
    if "nothing" in path.name:
        raise inspection.NotARepository("there is no git repository here")
    return inspection.RepositoryFacts(
        root=path,
        common_dir=path / ".git",
        head_commit=HEAD,
        branch="main",
    )


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """An open desk with one repository."""
    record_lay(tmp_path / "record.db")
    database = Database.open(tmp_path / "record.db")
    scheduler = ListeningScheduler()
    context = OperationContext(
        database=database,
        blobs=BlobStore(tmp_path / "artifacts"),
        scheduler=scheduler,
        live_logs=NoLiveLogs(),
        instance_view=lambda: messages.InstanceView(
            instance_id=ids.new_id(ids.IdPrefix.INSTANCE),
            version="0",
            protocol_version=1,
            hostname="here",
            platform="test",
            public_key="",
            started_at=datetime(2026, 1, 1, tzinfo=UTC),
            executors=(messages.ExecutorView(name="fake", is_available=True),),
        ),
        inspect_repository=_inspect,
    )
    desk = Desk(context=context, scheduler=scheduler)
    desk.repository_id = (await desk.call("repositories.add", body={"path": "/home/me/project"})).repository_id
    yield desk
    await database.close()
