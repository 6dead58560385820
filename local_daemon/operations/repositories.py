"""Handlers of the daemon itself, its repositories and their event logs.

Called by `registry`. Tests: tests/unit/daemon/operations/test_repositories.py.
"""

import asyncio
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from local_daemon.operations.context import Call, OperationContext
from local_daemon.operations.remembered import answered, once
from local_daemon.protocol import errors, limits, messages
from local_daemon.repositories import selectors, services
from local_daemon.storage import database, event_log
from local_daemon.storage.transaction import Transaction
from local_daemon.worktrees import bindings, configuration, folders, git, inspection


async def instance_get(context: OperationContext, call: Call) -> BaseModel:
    """Who this daemon is, and what it can use now."""
    if context.instance_look is None:
        return context.instance_view()
    return await context.instance_look()


async def repository_add(context: OperationContext, call: Call) -> BaseModel:
    """Make a git repository known, or a folder without git. The path stays on this machine, also in errors."""
    body = call.body_as(messages.RepositoryAdd)
    facts, git_root = await _facts_of_any(context, body)
    try:
        bindings.common_dir_find(facts.root)
    except bindings.RepositoryDiverted as error:
        raise errors.PreconditionFailed(error.detail) from error
    except bindings.RepositoryNotThere:
        pass  # A folder without git.
    binding = bindings.binding_make(facts.root, facts.common_dir) if git_root is None else None

    def apply(tx: Transaction) -> BaseModel:
        repository, _ = services.repository_register(
            tx,
            toplevel=facts.root,
            label=body.label or _label(facts.root),
            default_branch=facts.branch,
            git_root=git_root,
            binding=binding,
        )
        head = event_log.log_head(tx.connection, repository.repository_id)
        return selectors.repository_view(repository, head=head, head_commit=facts.head_commit)

    answer = answered(await context.database.write("repository_add", once(call, apply), call_id=call.call_id))
    known = context.database.read(lambda conn: selectors.repository_at(conn, facts.root))
    if known is not None:
        bindings.bind(known.git_root, known.binding)
    return answer


async def repositories_list(context: OperationContext, call: Call) -> BaseModel:
    """Repositories, without asking git about each; or the one that holds a folder, without making it known; or those
    that were forgotten."""
    asked = call.query_as(messages.RepositoryListQuery)
    root = None if asked.path is None else await _root_around(context, asked.path)

    def query(conn: database.Connection) -> BaseModel:
        if asked.only == "forgotten":
            found, next_cursor = selectors.repositories_forgotten_page(conn, limit=asked.limit, cursor=asked.cursor)
        elif root is None:
            found, next_cursor = selectors.repositories_page(conn, limit=asked.limit, cursor=asked.cursor)
        else:
            known, next_cursor = selectors.repository_at(conn, root), None
            found = () if known is None else (known,)
        return messages.RepositoryPage(
            items=tuple(
                selectors.repository_view(repository, head=event_log.log_head(conn, repository.repository_id))
                for repository in found
            ),
            next_cursor=next_cursor,
        )

    return context.database.read(query)


async def repository_get(context: OperationContext, call: Call) -> BaseModel:
    """One repository, and what git says of it now; no head where the folder is gone."""
    repository = context.database.read(lambda conn: selectors.repository_get(conn, call.repository_id))
    try:
        head_commit = (await context.inspect_repository(repository.git_root)).head_commit
    except inspection.NotARepository:
        head_commit = None
    head = context.database.read(lambda conn: event_log.log_head(conn, call.repository_id))
    return selectors.repository_view(repository, head=head, head_commit=head_commit)


async def events_list(context: OperationContext, call: Call) -> BaseModel:
    """Events after a position, and where the log stands, of one moment."""
    asked = call.query_as(messages.EventListQuery)

    def query(conn: database.Connection) -> BaseModel:
        head = event_log.log_head(conn, call.repository_id)
        return messages.EventPage(
            repository_id=call.repository_id,
            log_id=head.log_id,
            items=event_log.events_after(conn, call.repository_id, asked.after_seq, asked.limit),
            head_seq=head.head_seq,
        )

    return context.database.read(query)


class _NoRepository(errors.InvalidRequest):
    """There is no git repository around this path."""


async def _facts_of_any(
    context: OperationContext, body: messages.RepositoryAdd
) -> tuple[inspection.RepositoryFacts, Path | None]:
    """What is at this path; for a folder without git also the repository of ours that serves it."""
    try:
        return await repository_facts(context, body.path), None
    except _NoRepository:
        if body.folder:
            return await _folder_take_on(context, Path(body.path))
        root = await _root_around(context, body.path)  # One that is known already.
        return await _folder_take_on(context, root)


async def _root_around(context: OperationContext, folder: str) -> Path:
    """Where the repository, or the known folder without git, begins that holds this folder. Raises InvalidRequest."""
    try:
        return (await repository_facts(context, folder)).root
    except _NoRepository:
        path = await asyncio.to_thread(Path(folder).resolve)
        known = context.database.read(lambda conn: selectors.folder_around(conn, path))
        if known is None:
            raise
        return known.toplevel


async def _folder_take_on(context: OperationContext, path: Path) -> tuple[inspection.RepositoryFacts, Path]:
    """The folder as a repository of which nothing is known yet, and the repository of ours that serves it."""
    if context.home is None:
        raise errors.UnsupportedOperation("This daemon keeps no repositories for folders without git.")
    folder = await asyncio.to_thread(path.resolve)
    if not folder.is_dir():
        raise errors.InvalidRequest("path: there is no such folder")
    git_root = context.home.folder_repository(folder)
    try:
        await folders.folder_take_on(folder, git_root=git_root, home=context.home.root, limits=context.folder_limits)
    except (folders.FolderRefused, configuration.ConfigurationChanged, git.GitFailed) as error:
        raise errors.InvalidRequest(f"path: the folder can't be worked in: {error}") from error
    facts = await context.inspect_repository(git_root)
    return replace(facts, root=folder, branch=None), git_root


async def repository_facts(context: OperationContext, folder: str) -> inspection.RepositoryFacts:
    """The git repository that holds this folder. Raises InvalidRequest."""
    path = Path(folder)
    if not path.is_absolute():
        raise errors.InvalidRequest("path: must be absolute")
    try:
        return await context.inspect_repository(path)
    except inspection.NotARepository as error:
        raise _NoRepository(f"path: {str(error).removeprefix('fatal: ')}") from error


def _label(root: Path) -> str:
    name = "".join(character if character.isprintable() else "?" for character in root.name)
    return name[: limits.TITLE_CHARACTERS] or "repository"
