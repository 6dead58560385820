"""Writes of manifests: a whole run in one transaction, or nothing of it.

What follows later needs nobody here: steps wait for each other by their own record, and `runs.services` skips what
can't begin any more. Called by operation handlers. Tests: tests/unit/daemon/manifests/test_services.py.
"""

from collections.abc import Sequence

from local_daemon.manifests import selectors, store
from local_daemon.manifests.records import Manifest, PlannedStep
from local_daemon.protocol import errors, ids
from local_daemon.protocol.manifests import OnFailure, RunManifest
from local_daemon.protocol.policies import Policy
from local_daemon.runs import services as runs
from local_daemon.runs.lifecycle import FailureRule
from local_daemon.steps import services as steps
from local_daemon.storage.transaction import Transaction


def manifest_submit(
    tx: Transaction, *, repository_id: ids.RepositoryId, manifest: RunManifest, policies: Sequence[Policy]
) -> tuple[Manifest, bool]:
    """Create the run, all its steps and what they wait for, close the run, and say whether this made it: with a name, a
    repeat returns what has it. Raises IdempotencyConflict where that is another manifest or no manifest."""
    run, created = runs.run_create(
        tx,
        repository_id=repository_id,
        objective=manifest.objective,
        name=manifest.name,
        title=manifest.title,
        failure_rule=FailureRule.AT_ONCE if manifest.on_failure is OnFailure.STOP else FailureRule.ON_CLOSE,
        budget=manifest.budget,
    )
    if not created:
        known = selectors.manifest_find(tx.connection, run.run_id)
        if known is None or known.digest != manifest.digest():
            raise errors.IdempotencyConflict("A run of this name exists, with other content.", run_id=run.run_id)
        return known, False
    made = _steps_submit(tx, run.run_id, repository_id, manifest, policies)
    needs = manifest.needs()
    for step in manifest.steps:
        steps.step_needs_set(
            tx,
            step_id=made[step.name],
            needs=[made[name] for name in needs[step.name]],
            base_step_id=None if step.builds_on is None else made[step.builds_on],
        )
    planned = Manifest(
        run_id=run.run_id,
        digest=manifest.digest(),
        order=manifest.order,
        on_failure=manifest.on_failure,
        steps=tuple(
            PlannedStep(name=step.name, step_id=made[step.name], depends_on=needs[step.name], builds_on=step.builds_on)
            for step in manifest.steps
        ),
    )
    store.manifest_insert(tx, planned)
    runs.run_close(tx, run_id=run.run_id)
    return planned, True


def _steps_submit(
    tx: Transaction,
    run_id: ids.RunId,
    repository_id: ids.RepositoryId,
    manifest: RunManifest,
    policies: Sequence[Policy],
) -> dict[str, ids.StepId]:
    made = {}
    for step in manifest.steps:
        submitted, _ = steps.step_submit(
            tx, run_id=run_id, repository_id=repository_id, task=step.task, name=step.name, policies=policies
        )
        made[step.name] = submitted.step_id
    return made
