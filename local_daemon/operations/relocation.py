"""Handlers for a repository that was moved on the disk, or that nobody wants to work in any more.

Both refuse while work goes on. What is on record of it stays: a forgotten repository is read as before, takes no new
work, and is made known again by saying where it lies. Called by `registry`.
Tests: tests/unit/daemon/operations/test_relocation.py.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from local_daemon.applications import selectors as applications
from local_daemon.attempts import selectors as attempts
from local_daemon.operations import repositories
from local_daemon.operations.context import Call, OperationContext
from local_daemon.operations.remembered import answered, once
from local_daemon.protocol import errors, ids, relocation, states
from local_daemon.repositories import selectors, services
from local_daemon.runs import selectors as runs
from local_daemon.steps import selectors as steps
from local_daemon.storage import event_log
from local_daemon.storage.database import Connection
from local_daemon.storage.transaction import Transaction
from local_daemon.worktrees import bindings, git, sameness

logger = logging.getLogger(__name__)

_ATTEMPTS_MAX = 200
"""By the commits that so many of the newest attempts began with a repository is known again."""


class _FolderStays(errors.InvalidRequest):
    """A folder without git is known by where it lies: it has no commits of its own by which it could be told from
    another one. Put it back; or forget it, then add it where it is now (`ropeway repository forget`, then `add`): it
    begins anew there, and what was done before is read by its old id."""


async def repository_relocate(context: OperationContext, call: Call) -> BaseModel:
    """Say where it lies now, once it is seen to be the same one."""
    body = call.body_as(relocation.RepositoryRelocate)
    before = context.database.read(lambda conn: selectors.repository_get(conn, call.repository_id))
    if before.is_folder:
        raise _FolderStays(repository_id=call.repository_id)
    facts = await repositories.repository_facts(context, body.path)
    begun = context.database.read(lambda conn: attempts.bases_recent(conn, call.repository_id, limit=_ATTEMPTS_MAX))
    missing = await _results_missing(context, facts.common_dir, begun) if begun else 0
    binding = bindings.binding_make(facts.root, facts.common_dir)

    def apply(tx: Transaction) -> BaseModel:
        _idle_require(tx.connection, call.repository_id)
        repository = services.repository_relocate(
            tx, repository_id=call.repository_id, toplevel=facts.root, binding=binding
        )
        head = event_log.log_head(tx.connection, call.repository_id)
        view = selectors.repository_view(repository, head=head, head_commit=facts.head_commit)
        return relocation.RelocationView(**view.model_dump(), results_missing=missing)

    answer = answered(await context.database.write("repository_relocate", once(call, apply), call_id=call.call_id))
    bindings.bind(before.git_root, None)
    known = context.database.read(lambda conn: selectors.repository_get(conn, call.repository_id))
    bindings.bind(known.git_root, known.binding)
    logger.info("repository relocated", extra={"event": "repository.relocated", "repository_id": call.repository_id})
    return answer


async def _results_missing(context: OperationContext, common_dir: Path, begun: Sequence[tuple[str, str | None]]) -> int:
    """How many results of these attempts git does not keep there. Raises InvalidRequest where it is another one."""
    try:
        bases = await sameness.commits_held(common_dir, {base for base, _ in begun}, trusted_root=context.trusted_root)
        references = await sameness.references_held(common_dir, trusted_root=context.trusted_root)
    except git.GitFailed as error:
        raise errors.InvalidRequest(f"path: {error.detail}") from error
    if not bases:
        raise errors.InvalidRequest("path: another repository: it holds no commit that work here began with")
    return sum(1 for _, ref in begun if ref is not None and ref not in references)


async def repository_forget(context: OperationContext, call: Call) -> BaseModel:
    """Know no place of it any more; again is harmless."""
    before = context.database.read(lambda conn: selectors.repository_get(conn, call.repository_id))

    def apply(tx: Transaction) -> BaseModel:
        _over_require(tx.connection, call.repository_id)
        repository = services.repository_forget(tx, repository_id=call.repository_id)
        return selectors.repository_view(repository, head=event_log.log_head(tx.connection, call.repository_id))

    answer = answered(await context.database.write("repository_forget", once(call, apply), call_id=call.call_id))
    bindings.bind(before.git_root, None)
    logger.info("repository forgotten", extra={"event": "repository.forgotten", "repository_id": call.repository_id})
    return answer


def _idle_require(conn: Connection, repository_id: ids.RepositoryId) -> None:
    """Raises NotFound, and InvalidTransition where somebody is at work in it."""
    selectors.repository_get(conn, repository_id)
    at_work = steps.steps_at_work(conn, repository_id=repository_id)
    if at_work:
        raise errors.InvalidTransition(
            "Work goes on in this repository; wait for it, or cancel it.", step_id=at_work[0]
        )
    if applications.applications_planned(conn, repository_id):
        raise errors.InvalidTransition("A result is being applied in this repository; wait for it.")


def _over_require(conn: Connection, repository_id: ids.RepositoryId) -> None:
    """Raises NotFound, and InvalidTransition where anything in it is at work, queued, or waits for somebody."""
    _idle_require(conn, repository_id)
    for state in (states.RunState.RUNNING, states.RunState.WAITING):
        found, _ = runs.runs_list(conn, repository_id, state=state, limit=1, cursor=None)
        if found:
            raise errors.InvalidTransition(
                f"A run of this repository is {state}; let it end, or cancel it.", run_id=found[0].run_id
            )
    if steps.repository_is_held(conn, repository_id):
        raise errors.InvalidTransition("A step of this repository needs attention; resolve it first.")
