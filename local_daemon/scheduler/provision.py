"""Preparing an attempt's worktree before its executor starts: what the repository's file asks for, its hook included.

What is brought and how it is kept out of patches is `worktrees/provisioning`'s. Called by `execution`.
Tests: tests/integration/daemon/test_provisioning.py.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from local_daemon.attempts.records import Attempt
from local_daemon.conversations import selectors as turns
from local_daemon.conversations import services as conversations
from local_daemon.processes import capture, environment
from local_daemon.protocol import ids, specs, states
from local_daemon.scheduler import kept_secrets, owner_rights, unconfirmed, workshop
from local_daemon.storage.database import Connection
from local_daemon.validations import runner
from local_daemon.worktrees import deletion, git, ignored, provisioning, worktree

logger = logging.getLogger(__name__)

_SAID_BYTES_MAX = 2000


class NotProvisioned(Exception):
    """The worktree could not be prepared: nothing of the attempt ran but perhaps its hook."""

    def __init__(self, failure: specs.Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


async def worktree_provision(
    shop: workshop.Workshop, lease: workshop.Lease, place: worktree.Worktree, cancelled: asyncio.Event
) -> None:
    """Bring what the repository's file names, run its hook, and bring back the ignored files of a thread that goes
    on. Raises NotProvisioned."""
    try:
        await provisioning.lfs_require(place)
        table = await provisioning.table_read(lease.folder, trusted_root=shop.trusted_root)
        if table.copied or table.linked:
            await asyncio.to_thread(provisioning.files_bring, place, table, repository_root=lease.folder)
        if table.hook is not None:
            await _hook_run(shop, lease, place, table, cancelled)
            await provisioning.hook_made_note(place)
            await asyncio.to_thread(_secrets_made_keep, shop, lease)
        await _ignored_bring_back(shop, lease, place)
    except (provisioning.ProvisioningFailed, git.GitFailed) as error:
        raise NotProvisioned(specs.Failure(kind=states.FailureKind.WORKSPACE, detail=str(error))) from error
    except OSError as error:
        detail = f"the worktree could not be provisioned: {error.strerror}"
        raise NotProvisioned(specs.Failure(kind=states.FailureKind.WORKSPACE, detail=detail)) from error


async def ignored_put_aside(shop: workshop.Workshop, lease: workshop.Lease, place: worktree.Worktree) -> None:
    """Before the worktree goes: keep its ignored files for the next turn, or for the answer to a question. Where that
    can't be, the turn begins without them."""
    turn = shop.database.read(lambda conn: turns.turn_of_step(conn, lease.step.step_id))
    if turn is not None or lease.attempt.question is not None:
        await ignored_hand_on(shop, lease, place)


async def ignored_hand_on(shop: workshop.Workshop, to: workshop.Lease, place: worktree.Worktree) -> None:
    """Keep the ignored files of a worktree for that attempt, or for whoever goes on with its thread."""
    with _warned(to):
        await ignored.ignored_put_aside(place, destination=_aside(shop, to.step.step_id))


async def ignored_keep(shop: workshop.Workshop, lease: workshop.Lease, place: worktree.Worktree) -> None:
    """As `ignored_put_aside`, of a worktree in which an earlier life of the daemon was interrupted: also what it was
    just bringing back, and nothing where a newer turn has left its own by now."""
    if shop.database.read(partial(_newer_left, shop=shop, step_id=lease.step.step_id)):
        return
    if not ignored.is_half_brought(place.path) or await ignored_return(shop, lease.attempt):
        await ignored_put_aside(shop, lease, place)


def _newer_left(conn: Connection, *, shop: workshop.Workshop, step_id: str) -> bool:
    turn = turns.turn_of_step(conn, step_id)
    if turn is None or not shop.aside_path(turn.conversation_id).exists():
        return False
    return turns.turns_of(conn, turn.conversation_id)[-1] != turn


async def ignored_return(shop: workshop.Workshop, attempt: Attempt) -> bool:
    """Of an attempt whose executor never started: put aside again the ignored files that were brought back for it.
    False where that can't be, and its worktree has to stay."""
    path = shop.worktree_path(attempt.attempt_id)
    if not ignored.is_brought_back(path):
        return True  # As it is with all but a few; a start after a crash asks for hundreds.
    aside = _aside(shop, attempt.step_id)
    try:
        await asyncio.to_thread(ignored.ignored_return, path, destination=aside)
    except (OSError, ValueError):
        logger.warning(
            "ignored files stay in the worktree", exc_info=True,
            extra={"event": "ignored.stay", "attempt_id": attempt.attempt_id},
        )  # fmt: skip
        return False
    return True


async def _ignored_bring_back(shop: workshop.Workshop, lease: workshop.Lease, place: worktree.Worktree) -> None:
    aside = _aside(shop, lease.step.step_id)
    if not aside.exists():
        return
    turn = shop.database.read(lambda conn: turns.turn_of_step(conn, lease.step.step_id))
    is_first = lease.attempt.number == 1 and lease.attempt.state is states.AttemptState.LEASED
    if turn is not None and turn.fresh_because == conversations.UNDONE and is_first:
        # They are of the turn that was undone, and nobody can tell what it had changed in them.
        await asyncio.to_thread(deletion.tree_delete, aside)
        return
    with _warned(lease):
        await asyncio.to_thread(ignored.ignored_bring_back, place, source=aside)


def _aside(shop: workshop.Workshop, step_id: ids.StepId) -> Path:
    """Where the ignored files wait that whoever goes on with the step gets: the next turn, or the answer."""
    turn = shop.database.read(lambda conn: turns.turn_of_step(conn, step_id))
    return shop.aside_path(step_id if turn is None else turn.conversation_id)


@contextmanager
def _warned(lease: workshop.Lease) -> Iterator[None]:
    """What comes of ignored files is no reason to fail an attempt."""
    try:
        yield
    except (OSError, ValueError, git.GitFailed):
        logger.warning(
            "ignored files left", exc_info=True,
            extra={"event": "ignored.left", "attempt_id": lease.attempt.attempt_id},
        )  # fmt: skip


def hook_may_run(shop: workshop.Workshop, lease: workshop.Lease) -> bool:
    """Whether an earlier life may have left the attempt's hook running."""
    return _hook_scratch(shop, lease).exists()


def _hook_scratch(shop: workshop.Workshop, lease: workshop.Lease) -> Path:
    return shop.scratch_path(lease.attempt.attempt_id) / "hook"


async def _hook_run(
    shop: workshop.Workshop,
    lease: workshop.Lease,
    place: worktree.Worktree,
    table: provisioning.Table,
    cancelled: asyncio.Event,
) -> None:
    outcome = await runner.validation_run(
        runner.ValidationCommand(name="hook", command=table.hook or "", timeout_s=table.hook_timeout_s),
        worktree=place.path,
        env=environment.environment_select(
            shop.environment,
            passed_names=shop.passed_names,
            values={"ROPEWAY_REPOSITORY": str(lease.folder)},
        ),
        scratch=_hook_scratch(shop, lease),
        attempt_id=lease.attempt.attempt_id,
        cancelled=cancelled,
    )
    await owner_rights.rights_give_back(shop, lease.attempt.attempt_id, place.git_dir, outcome.stdout.parent)
    if outcome.survivors:
        raise NotProvisioned(unconfirmed.failure(outcome.survivors, of="its hook", kind=states.FailureKind.WORKSPACE))
    if outcome.verdict is None:
        failure = specs.Failure(kind=states.FailureKind.INTERRUPTED, detail="cancelled while its worktree was prepared")
        raise NotProvisioned(failure)
    if outcome.verdict is not states.ValidationVerdict.PASSED:
        with suppress(provisioning.ProvisioningFailed, git.GitFailed):
            await provisioning.hook_made_note(place)  # For the secrets in what it had made by then.
        said = await asyncio.to_thread(_said, shop, lease, outcome.stderr)
        raise provisioning.ProvisioningFailed(f"the hook did not succeed ({outcome.detail}): {said}".rstrip(": "))


def _secrets_made_keep(shop: workshop.Workshop, lease: workshop.Lease) -> None:
    """So that no log shows what the hook has made: where checks are run again, it may be other than the attempt began
    with."""
    every = workshop.secrets_with_made(shop, lease)
    if every != workshop.secrets_known(shop, lease):
        kept_secrets.secrets_keep(shop.secrets_key, shop.scratch_path(lease.attempt.attempt_id), every)


def _said(shop: workshop.Workshop, lease: workshop.Lease, stderr: Path) -> str:
    """What it complained of, begin and end: cleaned before it is cut, since half a secret is not recognised."""
    if not stderr.is_file():
        return ""  # It has put something else there, which may never end.
    known = workshop.log_known(shop, lease)
    cleaned = stderr.with_name(f"{stderr.name}.clean")
    capture.clean_log(
        stderr,
        cleaned,
        worktree_root=known.worktree_root,
        home=known.home,
        secrets=workshop.secrets_with_made(shop, lease),
        directories=known.directories,
        bytes_max=_SAID_BYTES_MAX,
    )
    return cleaned.read_text(encoding="utf-8", errors="replace").strip()
