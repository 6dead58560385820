"""A machine, some of its work, and its retention some time later: what the tests of retention ask."""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from local_daemon.evidence import verification
from local_daemon.protocol import garbage, ids, specs
from local_daemon.runs import services as runs
from local_daemon.scheduler import retention
from tests.integration.daemon.machine import Machine, git

LATER = timedelta(days=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Each of its steps changes one file, beside whatever else its task says."""

    machine: Machine
    files: dict[str, str] = field(default_factory=dict)
    validations: tuple[dict[str, str], ...] = ()

    async def work(self, content: str = "new\n", *, closes: bool = True) -> ids.StepId:
        """A step that settled, in a run of its own."""
        run_id = await self.machine.run()
        params = {"files": {"file-0.txt": content, **self.files}}
        step_id = await self.machine.submit_to(
            run_id, executor="fake-success", params=params, validations=self.validations
        )
        await self.machine.until(step_id)
        await self.machine.worktrees_gone()
        if closes:
            await self.machine.shop.database.write("run_close", lambda tx: runs.run_close(tx, run_id=run_id))
        return step_id

    def keeper(self, *, later: timedelta = LATER, **rules: Any) -> retention.Retention:
        """The machine's retention by these rules, so much later."""
        for path in (self.machine.shop.home / "artifacts").rglob("*"):
            os.utime(path, (0, 0))
        return retention.Retention(
            shop=self.machine.shop, rules=retention.Rules(**rules), clock=lambda: datetime.now(UTC) + later
        )

    async def collect(self, *, dry_run: bool = False, **options: Any) -> garbage.GarbageView:
        """One pass of it."""
        return await self.keeper(**options).collect(dry_run=dry_run)

    def refs(self) -> list[str]:
        """The references to results that there are."""
        return git(self.machine.root, "for-each-ref", "--format=%(refname)", "refs/ropeway").split()

    def expired(self, step_id: ids.StepId) -> dict[str, bool]:
        """Of each piece of evidence whether it expired."""
        return {each.kind: each.expired_at is not None for each in self.machine.result(step_id).artifacts}

    def verify(self) -> verification.HomeReport:
        """What `ropeway verify` says."""
        return verification.home_verify(
            record=self.machine.shop.home / "record.sqlite3", blobs=self.machine.shop.blobs, public_key=""
        )

    def exists(self, artifact: specs.ArtifactView | None) -> bool:
        """Whether its bytes are kept."""
        assert artifact is not None
        return self.machine.shop.blobs.blob_exists(artifact.sha256)
