"""A daemon's inside without its doors: record, evidence, executors and scheduler on a real repository."""

import asyncio
import base64
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from local_daemon.artifacts.store import BlobStore
from local_daemon.attempts import selectors as attempts
from local_daemon.attempts.records import Attempt
from local_daemon.evidence import signing
from local_daemon.executors import registry, template
from local_daemon.gates import services as gates
from local_daemon.protocol import ids, specs, states
from local_daemon.repositories import services as repositories
from local_daemon.runs import services as runs
from local_daemon.scheduler import leases, loop, workshop
from local_daemon.steps import results
from local_daemon.steps import selectors as step_selectors
from local_daemon.steps import services as steps
from local_daemon.steps.records import Step
from local_daemon.storage.database import Database
from local_daemon.worktrees import room as rooms
from tests.record import record_lay

GIT_IDENTITY = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com",
}  # fmt: skip
PATCH = """\
diff --git a/file-0.txt b/file-0.txt
--- a/file-0.txt
+++ b/file-0.txt
@@ -1 +1 @@
-line 0
+another line
"""
"""A change of such a repository as `repository_make` makes."""

SETTLES_WITHIN_S = 120
"""Only what hangs waits so long: a busy machine is no failure."""


def git(root: Path, *arguments: str) -> str:
    """Run git in a repository and return what it says."""
    done = subprocess.run(
        ["git", *arguments], cwd=root, check=True, capture_output=True, text=True, env={**os.environ, **GIT_IDENTITY}
    )
    return done.stdout


def repository_make(root: Path, *, files: int = 3) -> Path:
    """A repository with one commit."""
    root.mkdir(parents=True)
    git(root, "init", "--quiet", "--initial-branch", "main")
    for number in range(files):
        (root / f"file-{number}.txt").write_text(f"line {number}\n")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "begin")
    return root


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A running scheduler and what it works with."""

    shop: workshop.Workshop
    scheduler: loop.Scheduler
    root: Path
    repository_id: ids.RepositoryId
    running: asyncio.Task[None]

    async def crash(self) -> None:
        """End this life here and now: whatever is at work stays as it is, for the next one to account for."""
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)

    async def run(self) -> ids.RunId:
        """A new run."""
        made, _ = await self.shop.database.write(
            "run_create",
            lambda tx: runs.run_create(tx, repository_id=self.repository_id, objective="o", name=None, title=None),
        )
        return made.run_id

    async def submit(self, **task: Any) -> ids.StepId:
        """Queue one step in a run of its own."""
        return await self.submit_to(await self.run(), **task)

    async def submit_to(self, run_id: ids.RunId, **task: Any) -> ids.StepId:
        """Queue one step of the run."""
        spec = specs.TaskSpec.model_validate({"goal": "g", **task})

        def apply(tx: Any) -> ids.StepId:
            step, _ = steps.step_submit(tx, run_id=run_id, repository_id=self.repository_id, task=spec, name=None)
            runs.run_refresh(tx, run_id=run_id)
            return step.step_id

        return await self.shop.database.write("step_submit", apply)

    async def answer(self, step: Step, text: str) -> None:
        """Answer the question the step waits on."""
        assert step.gate_id is not None
        gate_id = step.gate_id

        def apply(tx: Any) -> None:
            gate = gates.gate_decide(
                tx,
                gate_id=gate_id,
                repository_id=self.repository_id,
                decision=states.GateDecision.ANSWER,
                digest=None,
                comment="",
                answer=text,
                decided_by="a person",
            )
            steps.step_gate_closed(tx, gate=gate)
            runs.run_refresh(tx, run_id=step.run_id)

        await self.shop.database.write("gate_decide", apply)

    async def cancel(self, step_id: ids.StepId) -> None:
        """Ask the step to end."""
        await self.shop.database.write(
            "step_cancel", lambda tx: steps.step_cancel_request(tx, step_id=step_id, reason="enough")
        )
        self.scheduler.cancel(step_id)

    async def work_cancel(self) -> None:
        """Ask all that is at work to end."""
        for step_id in self.shop.database.read(step_selectors.steps_at_work):
            await self.cancel(step_id)

    def step(self, step_id: ids.StepId) -> Step:
        """The step as it is now."""
        return self.shop.database.read(lambda conn: step_selectors.step_load(conn, step_id))

    async def until(self, step_id: ids.StepId, *wanted: states.StepState) -> Step:
        """The step once it is in one of these states (by default: settled)."""
        async with asyncio.timeout(SETTLES_WITHIN_S):
            while True:
                mark = self.shop.database.wake.mark
                step = self.step(step_id)
                if step.state in (wanted or states.STEP_SETTLED):
                    return step
                await self.shop.database.wake.wait_for_change(after=mark)

    def result(self, step_id: ids.StepId) -> specs.ResultSpec:
        """The step's ResultSpec."""
        step = self.step(step_id)
        return self.shop.database.read(lambda conn: results.step_result(conn, step))

    def attempt(self, step_id: ids.StepId) -> Attempt:
        """The step's newest attempt."""
        found = self.shop.database.read(lambda conn: attempts.attempt_newest(conn, step_id))
        assert found is not None
        return found

    def content(self, artifact: specs.ArtifactView | None) -> bytes:
        """An artifact's bytes."""
        assert artifact is not None
        return self.shop.blobs.blob_read(artifact.sha256)

    def evidence_is_signed(self, step_id: ids.StepId) -> bool:
        """Whether the step's newest attempt left evidence that this machine's key signed."""
        evidence = self.result(step_id).evidence
        return evidence is not None and signing.evidence_verify(
            self.shop.blobs.blob_read(evidence.digest), signature=evidence.signature, public_key=self.shop.public_key
        )

    async def worktrees_gone(self, *, but: int = 0) -> None:
        """Wait until no attempt is at work any more, `but` so many, its cleaning up included."""
        async with asyncio.timeout(SETTLES_WITHIN_S):
            while self.scheduler.active_count > but:
                mark = self.shop.database.wake.mark
                if self.scheduler.active_count > but:
                    await self.shop.database.wake.wait_for_change(after=mark)


def shell_running(line: str) -> registry.Registry:
    """One executor, `shell`, that runs this line whatever it is asked."""
    shell = template.TemplateExecutor(template.Template(name="shell", command=("sh", "-c", line)))
    return registry.Registry([shell])


@asynccontextmanager
async def machine_start(
    home: Path,
    repository: Path,
    *,
    limits: leases.ConcurrencyLimits | None = None,
    environment: dict[str, str] | None = None,
    executors: registry.Registry | None = None,
    room: rooms.Room | None = None,
    cancel_grace_s: float = 1.0,
) -> AsyncIterator[Machine]:
    """A machine that works until the block ends, and what it is at work on then; where the block fails, that is
    cancelled. Its executors' fakes count their starts in `home/starts`."""
    counted = {"ROPEWAY_ENV": "test", "ROPEWAY_FAKE_STARTS": str(home / "starts")}
    home.mkdir(parents=True, exist_ok=True)
    record_lay(home / "record.sqlite3")
    database = Database.open(home / "record.sqlite3")
    key = Ed25519PrivateKey.generate()
    shop = workshop.Workshop(
        database=database,
        blobs=BlobStore(home / "artifacts"),
        executors=executors or registry.registry_build(counted),
        worktrees=home / "worktrees",
        scratch=home / "scratch",
        sign=key.sign,
        public_key=base64.b64encode(key.public_key().public_bytes_raw()).decode(),
        environment=environment if environment is not None else dict(os.environ),
        cancel_grace_s=cancel_grace_s,
        room=room or rooms.Room(),
    )
    added, _ = await database.write(
        "repository_add",
        lambda tx: repositories.repository_register(tx, toplevel=repository, label="r", default_branch="main"),
    )
    scheduler = loop.Scheduler(shop, limits=limits or leases.ConcurrencyLimits())
    await scheduler.recover()
    running = asyncio.create_task(scheduler.run())
    machine = Machine(
        shop=shop, scheduler=scheduler, root=repository, repository_id=added.repository_id, running=running
    )
    try:
        yield machine
    except BaseException:
        await asyncio.gather(scheduler.drain(), machine.work_cancel())
        raise
    finally:
        if not running.cancelled():
            await scheduler.drain()
            await running
        await database.close()
