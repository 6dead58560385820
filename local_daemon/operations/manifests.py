"""Handlers of manifests.

Called by `registry`. Tests: tests/integration/daemon/test_manifests.py.
"""

from collections.abc import Mapping

from pydantic import BaseModel

from local_daemon.manifests import selectors, services
from local_daemon.operations import rules, steps
from local_daemon.operations.context import Call, OperationContext
from local_daemon.operations.remembered import answered, once
from local_daemon.protocol import errors, messages
from local_daemon.protocol.manifests import RunManifest
from local_daemon.steps import submissions
from local_daemon.storage import database, texts
from local_daemon.storage.transaction import Transaction


async def manifest_submit(context: OperationContext, call: Call) -> BaseModel:
    """Queue a whole run, or refuse it whole."""
    body = call.body_as(RunManifest)
    executors = steps.executors_here(context)
    problems = list(_unknown(executors, body))
    if problems:
        raise errors.InvalidRequest("the manifest is not valid", errors=problems)
    at_head = [step.task.policy for step in body.steps if step.builds_on is None and step.task.base is None]
    policies = await rules.policies_held(context, call.repository_id, at_head=at_head)

    def apply(tx: Transaction) -> BaseModel:
        manifest, created = services.manifest_submit(
            tx, repository_id=call.repository_id, manifest=body, policies=policies
        )
        if created:
            submissions.submission_keep(tx, run_id=manifest.run_id, step_id=None, provenance=body.provenance)
        view = selectors.manifest_view(tx.connection, manifest, created=created)
        warnings = [
            f"{step.name}: {warning}"
            for step in body.steps
            for warning in steps.budget_warnings(executors, step.task, run=body.budget, policies=policies)
        ]
        return view.model_copy(update={"warnings": texts.warnings_cut(warnings)})

    answer = answered(await context.database.write("manifest_submit", once(call, apply), call_id=call.call_id))
    context.scheduler.wake()
    return answer


async def manifest_get(context: OperationContext, call: Call) -> BaseModel:
    """The plan of a run, and where each of its steps stands."""

    def query(conn: database.Connection) -> messages.ManifestView:
        manifest = selectors.manifest_get(conn, call.run_id, repository_id=call.repository_id)
        return selectors.manifest_view(conn, manifest)

    return context.database.read(query)


def _unknown(executors: Mapping[str, messages.ExecutorView], manifest: RunManifest) -> list[dict[str, str]]:
    """Every step whose executor or profile is not this machine's: all of them at once, not the first."""
    problems = []
    for index, step in enumerate(manifest.steps):
        try:
            steps.require_known_executor(executors, step.task)
        except errors.InvalidRequest as error:
            problems.append({"field": f"steps.{index}.task", "problem": f"{step.name}: {error.detail}"})
    return problems
