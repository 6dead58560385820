"""The SQL of manifests. Called by `services` and `selectors` only.

Tests: tests/unit/daemon/manifests/.
"""

import json
from typing import Any

from local_daemon.manifests.records import Manifest, PlannedStep
from local_daemon.protocol import ids
from local_daemon.protocol.manifests import OnFailure, StepOrder
from local_daemon.storage.database import Connection
from local_daemon.storage.transaction import Transaction


def manifest_insert(tx: Transaction, manifest: Manifest) -> None:
    """Add the row."""
    outline: dict[str, Any] = {
        "order": manifest.order,
        "on_failure": manifest.on_failure,
        "steps": [
            {"name": step.name, "step_id": step.step_id, "depends_on": step.depends_on, "builds_on": step.builds_on}
            for step in manifest.steps
        ],
    }
    tx.execute(
        "INSERT INTO manifests (run_id, digest, outline, created_at) VALUES (?, ?, ?, ?)",
        (manifest.run_id, manifest.digest, json.dumps(outline), tx.now_text),
    )


def manifest_by_run(conn: Connection, run_id: str) -> Manifest | None:
    """The manifest of the run."""
    row = conn.execute("SELECT run_id, digest, outline FROM manifests WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        return None
    outline = json.loads(row["outline"])
    return Manifest(
        run_id=ids.RunId(row["run_id"]),
        digest=row["digest"],
        order=StepOrder(outline["order"]),
        on_failure=OnFailure(outline["on_failure"]),
        steps=tuple(
            PlannedStep(
                name=step["name"],
                step_id=ids.StepId(step["step_id"]),
                depends_on=tuple(step["depends_on"]),
                builds_on=step["builds_on"],
            )
            for step in outline["steps"]
        ),
    )
