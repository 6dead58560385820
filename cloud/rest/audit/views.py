"""The audit: reading it, counting it, and taking a signed copy of it.

Tests: tests/integration/cloud/rest/test_audit.py, tests/integration/cloud/relay/test_rest.py.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from uuid import UUID

from django.http import StreamingHttpResponse

from cloud.audit import export as exports
from cloud.audit import selectors
from cloud.operations import audit as auditing
from cloud.operations.audit import AuditCounts, CountQuery
from cloud.rest import pages
from cloud.rest.audit.messages import (
    AuditChain,
    AuditEventsPage,
    AuditQuery,
    ExportQuery,
)
from cloud.rest.endpoints import Asked, endpoint
from cloud.tenancy import grants, scope, threads
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope


@endpoint(
    "GET",
    "/audit",
    name="audit.list",
    title="The audit",
    needed=Scope.AUDIT_READ,
    query=AuditQuery,
    response=AuditEventsPage,
)
def audit_list(asked: Asked, query: AuditQuery) -> AuditEventsPage:
    """Who did what, and how it went: newest first; of the credential's projects only, where it is bound to some."""
    rows = selectors.event_page(
        asked.principal.organization_id,
        limit=query.limit,
        before=pages.after_row(query.cursor),
        asked=selectors.EventFilter(
            event_type=query.event_type,
            actor_id=query.actor_id,
            target_id=query.target_id,
            call_id=query.call_id,
            project_ids=_projects(asked, query),
            failed_only=query.failed_only,
            since=query.since,
            until=query.until,
        ),
    )
    return AuditEventsPage(**pages.rows_told(rows, auditing.event_view, limit=query.limit, mark=lambda row: row.id))


@endpoint(
    "GET",
    "/audit/counts",
    name="audit.counts",
    title="Audit counts",
    needed=Scope.USAGE_READ,
    query=CountQuery,
    response=AuditCounts,
)
def audit_counts(asked: Asked, query: CountQuery) -> AuditCounts:
    """How often what happened in the organization, as the worker last counted."""
    return auditing.audit_counts(asked.grant(), query)


@endpoint(
    "GET", "/audit/chain", name="audit.chain", title="The audit's chain", needed=Scope.AUDIT_READ, response=AuditChain
)
def audit_chain(asked: Asked) -> AuditChain:
    """How far the organization's chain goes, and what waits to be sealed."""
    grants.whole_organization(asked.grant())
    return AuditChain(**asdict(selectors.chain_state(asked.principal.organization_id)))


@endpoint(
    "GET",
    "/audit/export",
    name="audit.export",
    title="Export the audit",
    needed=Scope.AUDIT_READ,
    query=ExportQuery,
    response=None,
    media_type="application/jsonl",
    tells={"Ropeway-Next-Seq": "The `first_seq` of the next export, where this one holds not all that was asked for."},
)
def audit_export(asked: Asked, query: ExportQuery) -> StreamingHttpResponse:
    """A stretch of the sealed audit as signed JSON Lines, for somebody who trusts neither the cloud nor its database:
    the stand-alone verifier checks it. What is not sealed yet is sealed first; that it was exported is audited. An
    answer without its last line was cut off: ask again, with `first_seq` and `limit` for less at once."""
    grants.whole_organization(asked.grant())
    try:
        export = exports.export_begin(
            organization_id=asked.principal.organization_id,
            asked=exports.Range(**query.model_dump()),
            actor=asked.principal,
            client_address=asked.client_address,
        )
    except exports.NothingToExport as error:
        raise errors.RangeInvalid("No sealed event lies in that range; name a wider one.") from error
    # Django would keep this request's own until the last byte is sent, to however slow a reader.
    threads.connections_give_back()
    response = StreamingHttpResponse(_sent(export), content_type="application/jsonl")
    response["Content-Disposition"] = f'attachment; filename="audit-{export.first_seq}-{export.last_seq}.jsonl"'
    if export.next_seq is not None:
        response["Ropeway-Next-Seq"] = str(export.next_seq)
    return response


async def _sent(export: exports.Export) -> AsyncIterator[bytes]:
    """Piece by piece: the next is read, in a database thread, when the one before is on its way."""
    pieces = exports.export_pieces(export)
    while piece := await threads.in_database_thread(_piece, export.organization_id, pieces):
        yield piece


def _piece(organization_id: UUID, pieces: Iterator[bytes]) -> bytes:
    """The answer is sent when its request's scope is closed: each piece opens it again."""
    with scope.organization(organization_id):
        return next(pieces, b"")


def _projects(asked: Asked, query: AuditQuery) -> frozenset[UUID] | None:
    reach = asked.principal.project_ids
    if query.project_id is None:
        return reach
    return frozenset({query.project_id} if reach is None else {query.project_id} & reach)


ENDPOINTS = (audit_list, audit_counts, audit_chain, audit_export)
