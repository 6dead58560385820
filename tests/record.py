"""A record to try services on: a real file, one connection, and a clock that moves only when told to."""

import functools
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from local_daemon.artifacts import services as artifacts
from local_daemon.artifacts.records import Artifact, ArtifactKind, Blob
from local_daemon.attempts import services as attempts
from local_daemon.attempts.records import Attempt, Collected
from local_daemon.protocol import ids, specs
from local_daemon.protocol.states import StepEvent, StepState
from local_daemon.repositories import services as repositories
from local_daemon.repositories.records import Repository
from local_daemon.runs import services as runs
from local_daemon.runs.records import Run
from local_daemon.steps import selectors as step_selectors
from local_daemon.steps import services as steps
from local_daemon.steps.records import Step
from local_daemon.storage import database
from local_daemon.storage.transaction import Transaction

T = TypeVar("T")

TASK = specs.TaskSpec(goal="Say hello.", executor="fake")
DIGEST = "a" * 64
BLOB = Blob(sha256=DIGEST, size_bytes=1)


def record_lay(path: Path) -> None:
    """Lay an empty record where there is none. Bringing its schema up to date takes longer than most tests."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(_empty())


@functools.cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "record.db"
        database.writer_open(path).close()
        return path.read_bytes()


class Record:
    """Writes like the daemon's database, but at once and on this thread. It does not wait for the disk."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "record.db"
        record_lay(self.path)
        self.connection = database.writer_open(self.path)
        self.connection.execute("PRAGMA synchronous = OFF")
        self.now = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)

    def write(self, change: Callable[[Transaction], T], *, call_id: ids.CallId | None = None) -> T:
        """One transaction; what raises leaves no trace."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            result = change(Transaction(connection=self.connection, now=self.now, call_id=call_id))
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")
        return result

    def pass_time(self, seconds: float) -> None:
        """Move the clock."""
        self.now += timedelta(seconds=seconds)

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    def repository(self, toplevel: str = "/repository") -> Repository:
        """A repository that nobody looks into."""
        return self.write(
            lambda tx: repositories.repository_register(tx, toplevel=Path(toplevel), label="x", default_branch="main")
        )[0]

    def run(self, repository: Repository, **fields: Any) -> Run:
        """An open run."""
        given = {"objective": "Greet.", "name": None, "title": None, **fields}
        return self.write(lambda tx: runs.run_create(tx, repository_id=repository.repository_id, **given))[0]

    def step(self, run: Run, task: specs.TaskSpec = TASK, name: str | None = None) -> Step:
        """A step of the run, just submitted."""
        return self.write(lambda tx: runs.run_step_submit(tx, run_id=run.run_id, task=task, name=name))[0]

    def step_now(self, step: Step) -> Step:
        """The step as it is on record now."""
        return step_selectors.step_load(self.connection, step.step_id)

    def lease(self, step: Step) -> Attempt:
        """An attempt of the queued step."""

        def apply(tx: Transaction) -> Attempt:
            attempt = attempts.attempt_lease(
                tx,
                step_id=step.step_id,
                run_id=step.run_id,
                repository_id=step.repository_id,
                executor=step.executor,
                epoch=1,
            )
            steps.step_advance(tx, step_id=step.step_id, event=StepEvent.LEASED)
            runs.run_refresh(tx, run_id=step.run_id)
            return attempt

        return self.write(apply)

    def start(self, attempt: Attempt) -> Attempt:
        """Its process is on record."""
        return self.write(
            lambda tx: attempts.attempt_started(
                tx, attempt_id=attempt.attempt_id, epoch=1, pid=42, process_start="1", boot_id="b", base_commit="1" * 40
            )
        )

    def exit(
        self,
        attempt: Attempt,
        *,
        exit_code: int | None = 0,
        signal: int | None = None,
        failure: specs.Failure | None = None,
    ) -> Attempt:
        """The end of its process is on record."""
        return self.write(
            lambda tx: attempts.attempt_exited(
                tx, attempt_id=attempt.attempt_id, epoch=1, exit_code=exit_code, signal=signal, failure=failure
            )
        )

    def collect(self, attempt: Attempt, **fields: Any) -> Attempt:
        """What came of it is on record: nothing but what is given here."""
        nothing = {
            "base_commit": "1" * 40, "head_commit": "2" * 40, "ref": "refs/ropeway/x", "patch_artifact_id": None,
            "patch_sha256": None, "changes": (), "summary": "", "failure": None, "usage": specs.Usage(),
            "thread_id": None,
        }  # fmt: skip
        collected = Collected(**{**nothing, **fields})
        return self.write(
            lambda tx: attempts.attempt_recorded(tx, attempt_id=attempt.attempt_id, epoch=1, collected=collected)
        )

    def artifact(
        self, attempt: Attempt, kind: ArtifactKind, *, name: str = "stdout.log", blob: Blob = BLOB
    ) -> Artifact:
        """A piece of its evidence."""
        return self.write(
            lambda tx: artifacts.artifact_record(
                tx,
                step_id=attempt.step_id,
                attempt_id=attempt.attempt_id,
                run_id=attempt.run_id,
                repository_id=attempt.repository_id,
                kind=kind,
                name=name,
                media_type="text/plain",
                blob=blob,
            )
        )

    def retry(self, step: Step) -> Step:
        """A person has the step tried again, and its run goes on."""

        def apply(tx: Transaction) -> Step:
            again = steps.step_retry(tx, step_id=step.step_id)
            runs.run_reopen(tx, run_id=step.run_id)
            return again

        return self.write(apply)

    def advance(self, step: Step, event: StepEvent, **fields: Any) -> Step:
        """Move the step by one event, and its run with it."""

        def apply(tx: Transaction) -> Step:
            moved = steps.step_advance(tx, step_id=step.step_id, event=event, **fields)
            runs.run_refresh(tx, run_id=step.run_id)
            return moved

        return self.write(apply)

    def work(self, step: Step, until: StepState = StepState.VALIDATING) -> Attempt:
        """Lease the queued step and carry it on until it is in that state of work."""
        attempt = self.lease(step)
        for event in (StepEvent.RELEASED, StepEvent.EXITED, StepEvent.COLLECTED):
            if self.step_now(step).state is until:
                break
            self.advance(step, event)
        return attempt
