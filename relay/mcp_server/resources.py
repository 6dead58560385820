"""Work as MCP resources: runs, results, patches and artifacts, listed as last heard of and read from their machine.

Every read is a call through the Planner, as a tool's is: authorized, recorded, bounded. Deliberately without
subscriptions: the tools that wait tell when something happens. Called by `server`. Tests:
tests/integration/cloud/relay/test_mcp_resources.py.
"""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import mcp_types as types

from local_daemon.protocol import errors
from local_daemon.protocol.ids import IdPrefix
from local_daemon.protocol.scopes import Scope
from relay import contents
from relay.mcp_server.addresses import Address, Kind, address_read, template_of
from relay.mcp_server.tools import RESOURCE_BYTES, Origin
from relay.ports import Asked, Planner

LISTED = 50
"""How many runs and steps a page of the list holds."""
_JSON = "application/json"
_ULID = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")

SCOPES: Mapping[Kind, frozenset[Scope]] = MappingProxyType(
    {
        Kind.RUN: frozenset({Scope.RUNS_READ}),
        Kind.RESULT: frozenset({Scope.STEPS_READ}),
        Kind.PATCH: frozenset({Scope.STEPS_READ, Scope.ARTIFACTS_READ}),
        Kind.ARTIFACT: frozenset({Scope.ARTIFACTS_READ}),
    }
)
"""Without which a kind is not shown."""
_TEMPLATES: Mapping[Kind, tuple[str, str, str | None]] = MappingProxyType(
    {
        Kind.RUN: ("A run", "One objective, its state and how many of its steps are in which state.", _JSON),
        Kind.RESULT: ("A step's result", "Verdict, changed files, validations, artifacts and signed evidence.", _JSON),
        Kind.PATCH: ("A step's patch", "What the newest attempt changed, as a unified diff.", "text/x-diff"),
        Kind.ARTIFACT: ("An artifact", "One piece of evidence: patch, output, validation output, manifest.", None),
    }
)


Contents = types.TextResourceContents | types.BlobResourceContents


class Resources:
    """What a caller may list and read."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner

    def templates(self, origin: Origin) -> list[types.ResourceTemplate]:
        """The forms of address that this caller may use."""
        return [
            types.ResourceTemplate(
                name=kind.value, title=title, description=description, uri_template=template_of(kind), mime_type=mime
            )
            for kind, (title, description, mime) in _TEMPLATES.items()
            if SCOPES[kind] <= origin.caller.scopes
        ]

    async def listed(self, origin: Origin, cursor: str | None) -> types.ListResourcesResult:
        """Runs, and results and patches of steps, newest first. Raises InvalidRequest for a cursor that is none,
        RateLimited."""
        if cursor is not None and _ULID.fullmatch(cursor) is None:
            await self._count(origin, "resources.list")
            raise errors.InvalidRequest("The cursor comes from the page before.")
        if not {Scope.RUNS_READ, Scope.STEPS_READ} & origin.caller.scopes:
            await self._count(origin, "resources.list")
        runs, steps = await asyncio.gather(
            self._recent(origin, "runs.recent", Scope.RUNS_READ, IdPrefix.RUN, cursor),
            self._recent(origin, "steps.recent", Scope.STEPS_READ, IdPrefix.STEP, cursor),
        )
        rows = {_ulid_of(row["run_id"]): _run(row) for row in runs}
        rows |= {_ulid_of(row["step_id"]): _step(row, origin) for row in steps}
        newest = sorted(rows, reverse=True)[:LISTED]
        has_more = len(runs) == LISTED or len(steps) == LISTED or len(rows) > LISTED
        return types.ListResourcesResult(
            resources=[resource for ulid in newest for resource in rows[ulid]],
            next_cursor=newest[-1] if has_more else None,
        )

    async def read(self, origin: Origin, uri: str) -> types.ReadResourceResult:
        """One resource. Raises NotFound, Forbidden, PayloadTooLarge, and what the way there refuses."""
        try:
            address = address_read(uri)
        except errors.NotFound:
            await self._count(origin, "resources.read")
            raise
        return types.ReadResourceResult(contents=[await self._held(origin, uri, address)])

    async def _count(self, origin: Origin, asked: str) -> None:
        """What names nothing comes to no call, which would have counted it."""
        await self._planner.count(origin.caller, asked, client_address=origin.client_address)

    async def _held(self, origin: Origin, uri: str, address: Address) -> Contents:
        match address.kind:
            case Kind.RUN:
                return _document(uri, await self._view(origin, address, "runs.get"))
            case Kind.RESULT:
                return _document(uri, await self._view(origin, address, "steps.result"))
            case Kind.PATCH:
                return await self._content(origin, uri, await self._patch_of(origin, address))
            case Kind.ARTIFACT:
                return await self._content(origin, uri, address)

    async def _recent(
        self, origin: Origin, operation: str, scope: Scope, prefix: IdPrefix, cursor: str | None
    ) -> Sequence[dict[str, Any]]:
        if scope not in origin.caller.scopes:
            return ()
        arguments: dict[str, Any] = {"limit": LISTED}
        if cursor is not None:
            arguments["cursor"] = f"{prefix}_{cursor}"
        page = await self._planner.perform(origin.caller, operation, arguments, client_address=origin.client_address)
        rows: Sequence[dict[str, Any]] = page["items"]
        return rows

    async def _patch_of(self, origin: Origin, address: Address) -> Address:
        result = await self._view(origin, address, "steps.result")
        patch = result.get("patch")
        if not isinstance(patch, dict) or not isinstance(patch.get("artifact_id"), str):
            raise errors.NotFound("This step has left no changes.")
        return Address(
            kind=Kind.ARTIFACT, project_id=address.project_id, id=patch["artifact_id"], location=address.location
        )

    async def _view(self, origin: Origin, address: Address, operation: str) -> dict[str, Any]:
        answered = await self._planner.call(_asked(origin, address, operation))
        if not isinstance(answered.body, dict):
            raise errors.Internal("The machine's answer makes no sense.")
        return answered.body

    async def _content(
        self, origin: Origin, uri: str, address: Address
    ) -> types.TextResourceContents | types.BlobResourceContents:
        asked = _asked(origin, address, "artifacts.content", query={"length": RESOURCE_BYTES})
        answered = await self._planner.call(asked)
        content = answered.answer.content
        if content is None:
            view = answered.body
        else:
            if (content.head.total_bytes or 0) > RESOURCE_BYTES:
                await content.aclose()
                raise _too_large(content.head.total_bytes)
            piece = await content.read(max_bytes=RESOURCE_BYTES)
            view = contents.content_view(content.head, piece, artifact_id=address.id)
        if view["length"] < view["size_bytes"]:
            raise _too_large(view["size_bytes"])
        if view.get("text") is not None:
            return types.TextResourceContents(uri=uri, mime_type=view["media_type"], text=view["text"])
        return types.BlobResourceContents(uri=uri, mime_type=view["media_type"], blob=view["base64"])


def _asked(origin: Origin, address: Address, operation: str, *, query: Mapping[str, Any] | None = None) -> Asked:
    return Asked(
        credential=origin.caller,
        operation=operation,
        project_id=address.project_id,
        parameters=address.parameters,
        query=query or {},
        location=address.location,
        traceparent=origin.traceparent,
        client_address=origin.client_address,
    )


def _document(uri: str, view: Mapping[str, Any]) -> types.TextResourceContents:
    text = json.dumps(view, ensure_ascii=False, indent=2)
    size_bytes = len(text.encode("utf-8", errors="replace"))
    if size_bytes > RESOURCE_BYTES:
        raise _too_large(size_bytes)
    return types.TextResourceContents(uri=uri, mime_type=_JSON, text=text)


def _too_large(size_bytes: int | None) -> errors.PayloadTooLarge:
    return errors.PayloadTooLarge(
        f"A resource is read whole up to {RESOURCE_BYTES} bytes; artifacts_content hands out pieces.",
        limit=RESOURCE_BYTES,
        size_bytes=size_bytes,
    )


def _ulid_of(id: str) -> str:
    return id.rpartition("_")[2]


def _run(row: Mapping[str, Any]) -> list[types.Resource]:
    named = Address(kind=Kind.RUN, project_id=row["project_id"], id=row["run_id"], location=row["location_id"])
    return [_resource(named, row, f"{row['title'] or row['run_id']} ({row['state']})")]


def _step(row: Mapping[str, Any], origin: Origin) -> list[types.Resource]:
    kinds = (Kind.RESULT, Kind.PATCH) if row["has_patch"] else (Kind.RESULT,)
    return [
        _resource(
            Address(kind=kind, project_id=row["project_id"], id=row["step_id"], location=row["location_id"]),
            row,
            f"{kind.value.capitalize()} of {row['title'] or row['step_id']} ({row['state']})",
        )
        for kind in kinds
        if SCOPES[kind] <= origin.caller.scopes
    ]


def _resource(address: Address, row: Mapping[str, Any], title: str) -> types.Resource:
    return types.Resource(
        uri=str(address),
        name=f"{address.kind.value} {address.id}",
        title=title,
        description=f"{row['project']} on {row['machine']}, as of {row['as_of']}",
        mime_type=_TEMPLATES[address.kind][2],
        annotations=types.Annotations(last_modified=row["as_of"]),
    )
