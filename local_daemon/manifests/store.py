"""The SQL that writes manifests. Called by `services` only.

Tests: tests/unit/daemon/manifests/.
"""

import json
from typing import Any

from local_daemon.manifests.records import Manifest
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
