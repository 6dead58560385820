"""Reads of manifests, and their view: the plan beside where it stands.

Called by operation handlers. Tests: tests/unit/daemon/manifests/test_services.py.
"""

import json

from local_daemon.manifests.records import Manifest, PlannedStep
from local_daemon.protocol import errors, ids, messages
from local_daemon.protocol.manifests import OnFailure, StepOrder
from local_daemon.protocol.states import StepState
from local_daemon.runs import selectors as runs
from local_daemon.steps import selectors as steps
from local_daemon.storage.database import Connection


def manifest_get(conn: Connection, run_id: str, *, repository_id: str) -> Manifest:
    """The manifest the run was submitted with. Raises NotFound, also for a run that was submitted step by step."""
    runs.run_get(conn, run_id, repository_id=repository_id)
    manifest = manifest_find(conn, run_id)
    if manifest is None:
        raise errors.NotFound("This run was not submitted as a manifest.", run_id=run_id)
    return manifest


def manifest_find(conn: Connection, run_id: str) -> Manifest | None:
    """The manifest the run was submitted with, if it was."""
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


def manifest_view(conn: Connection, manifest: Manifest, *, created: bool = False) -> messages.ManifestView:
    """The plan and where each of its steps stands now."""
    found = {planned.name: steps.step_load(conn, planned.step_id) for planned in manifest.steps}
    return messages.ManifestView(
        run=runs.run_counted(conn, runs.run_load(conn, manifest.run_id)),
        digest=manifest.digest,
        order=manifest.order,
        on_failure=manifest.on_failure,
        created=created,
        steps=tuple(
            messages.ManifestStepView(
                name=planned.name,
                step_id=planned.step_id,
                depends_on=planned.depends_on,
                builds_on=planned.builds_on,
                state=found[planned.name].state,
                waits_for=tuple(
                    name
                    for name in planned.depends_on
                    if found[planned.name].unmet and found[name].state is not StepState.COMPLETED
                ),
                attempts=found[planned.name].attempts,
                gate_id=found[planned.name].gate_id,
                failure=found[planned.name].failure,
                not_started_because=found[planned.name].cancel_reason if found[planned.name].skipped_for else None,
            )
            for planned in manifest.steps
        ),
    )
