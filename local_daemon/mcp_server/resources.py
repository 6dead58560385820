"""Work as MCP resources: runs, results, patches and artifacts of every repository, read by the operations of the table.

An address is `ropeway:/` and the path of the operation that reads it; nothing is decided here that the operation does
not decide. Deliberately without subscriptions: the tools that wait tell when something happens. Called by `server` and
`links`. Tests: tests/integration/daemon/test_mcp.py.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local_daemon.mcp_server import tools
from local_daemon.operations import registry
from local_daemon.operations.context import ContentStream, OperationContext
from local_daemon.protocol import errors, limits
from local_daemon.protocol.operations import OPERATIONS

RESOURCE_BYTES = limits.MIB
"""The longest content that is handed out whole; tools hand out longer ones in pieces."""
ADDRESS_CHARACTERS = 500
_SCHEME = "ropeway:/"
_RUNS_LISTED = 20
_STEPS_LISTED = 50
_JSON = "application/json"
_PARAMETER = re.compile(r"\{(\w+)\}")
_CURSOR = re.compile(r"([^:]*):([^:]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What can be read under one form of address. `operation` is whose path it is, with `part` behind it."""

    name: str
    title: str
    description: str
    operation: str
    part: str = ""
    media_type: str | None = None

    @property
    def path(self) -> str:
        """The path with its parameters in braces."""
        return OPERATIONS[self.operation].path + self.part

    def address(self, **parameters: str) -> str:
        """The URI of one of them."""
        return _SCHEME + _PARAMETER.sub(lambda found: parameters[found[1]], self.path)

    def parameters(self, uri: str) -> dict[str, str] | None:
        """What the URI names; None where it is not of this kind."""
        found = re.fullmatch(_SCHEME + _PARAMETER.sub(r"(?P<\1>[^/?#]+)", self.path), uri)
        return None if found is None else found.groupdict()


_RUN = Kind(
    name="run",
    title="A run",
    description="One objective, its state and how many of its steps are in which state.",
    operation="runs.get",
    media_type=_JSON,
)
_RESULT = Kind(
    name="result",
    title="A step's result",
    description="Verdict, changed files, validations, artifacts and signed evidence.",
    operation="steps.result",
    media_type=_JSON,
)
PATCH = Kind(
    name="patch",
    title="A step's patch",
    description="What the newest attempt changed, as a unified diff.",
    operation="steps.get",
    part="/patch",
    media_type="text/x-diff",
)
ARTIFACT = Kind(
    name="artifact",
    title="An artifact",
    description="One piece of evidence: patch, output, validation output, manifest.",
    operation="artifacts.get",
)
KINDS = (_RUN, _RESULT, PATCH, ARTIFACT)


def templates() -> list[dict[str, Any]]:
    """The forms of address, as `resources/templates/list` tells them."""
    return [
        _without_none(
            uriTemplate=_SCHEME + kind.path,
            name=kind.name,
            title=kind.title,
            description=kind.description,
            mimeType=kind.media_type,
        )
        for kind in KINDS
    ]


async def listed(context: OperationContext, cursor: str | None, *, actor: str) -> dict[str, Any]:
    """Runs, and results and patches of their newest steps: one repository after the other, newest runs first. Raises
    InvalidRequest for a cursor that is none."""
    found = _CURSOR.fullmatch(cursor or ":")
    if found is None:
        raise errors.InvalidRequest("The cursor comes from the page before.")
    place: tuple[str, str] | None = (found[1], found[2])
    resources: list[dict[str, Any]] = []
    while place is not None and not resources:
        resources, place = await _page(context, *place, actor=actor)
    return _without_none(resources=resources, nextCursor=None if place is None else ":".join(place))


async def read(context: OperationContext, uri: str, *, actor: str) -> dict[str, Any]:
    """One resource. Raises NotFound, PayloadTooLarge, and what the operation refuses."""
    for kind in KINDS:
        parameters = kind.parameters(uri) if len(uri) <= ADDRESS_CHARACTERS else None
        if parameters is None:
            continue
        if kind in (_RUN, _RESULT):
            return {"contents": [_document(uri, await _view(context, kind.operation, actor=actor, **parameters))]}
        if kind is PATCH:
            parameters = await _patch_of(context, parameters, actor=actor)
        return {"contents": [await _content(context, uri, parameters, actor=actor)]}
    raise errors.NotFound("There is no such resource; see resources/templates/list.")


async def _page(
    context: OperationContext, repositories_cursor: str, runs_cursor: str, *, actor: str
) -> tuple[list[dict[str, Any]], tuple[str, str] | None]:
    """Runs of one repository with their steps, and where the next page begins."""
    found = await _view(context, "repositories.list", actor=actor, **_paged(1, repositories_cursor))
    if not found["items"]:
        return [], None
    repository = found["items"][0]
    place = {"repository_id": repository["repository_id"]}
    runs = await _view(context, "runs.list", actor=actor, **place, **_paged(_RUNS_LISTED, runs_cursor))
    resources = []
    for run in runs["items"]:
        here = {**place, "run_id": run["run_id"]}
        resources.append(_resource(_RUN, run, here, f"{run['title'] or run['run_id']} ({run['state']})", repository))
        steps = await _view(context, "steps.list", actor=actor, **here, limit=_STEPS_LISTED, order="newest")
        for step in steps["items"]:
            named = {**place, "step_id": step["step_id"]}
            for kind in (_RESULT, PATCH) if step["patch_sha256"] else (_RESULT,):
                title = f"{kind.name.capitalize()} of {step['title']} ({step['state']})"
                resources.append(_resource(kind, step, named, title, repository))
    if runs["next_cursor"] is not None:
        return resources, (repositories_cursor, runs["next_cursor"])
    return resources, None if found["next_cursor"] is None else (found["next_cursor"], "")


async def _view(context: OperationContext, operation: str, *, actor: str, **arguments: Any) -> dict[str, Any]:
    return await tools.tool_call(context, OPERATIONS[operation], arguments, actor=actor)


async def _patch_of(context: OperationContext, parameters: Mapping[str, str], *, actor: str) -> dict[str, str]:
    result = await _view(context, _RESULT.operation, actor=actor, **parameters)
    if result["patch"] is None:
        raise errors.NotFound("This step has left no changes.")
    return {"repository_id": parameters["repository_id"], "artifact_id": result["patch"]["artifact_id"]}


async def _content(context: OperationContext, uri: str, parameters: Mapping[str, str], *, actor: str) -> dict[str, Any]:
    content = await registry.call_operation(
        context,
        OPERATIONS["artifacts.content"],
        parameters=parameters,
        query=None,
        body=None,
        call_id=None,
        actor=actor,
    )
    assert isinstance(content, ContentStream)
    if content.size_bytes > RESOURCE_BYTES:
        raise _too_large(content.size_bytes)
    whole = b"".join([chunk async for chunk in content.chunks])
    try:
        return {"uri": uri, "mimeType": content.media_type, "text": whole.decode("utf-8")}
    except UnicodeDecodeError:
        return {"uri": uri, "mimeType": content.media_type, "blob": base64.b64encode(whole).decode("ascii")}


def _document(uri: str, view: Mapping[str, Any]) -> dict[str, Any]:
    text = json.dumps(view, ensure_ascii=False, indent=2)
    size_bytes = len(text.encode("utf-8", errors="replace"))
    if size_bytes > RESOURCE_BYTES:
        raise _too_large(size_bytes)
    return {"uri": uri, "mimeType": _JSON, "text": text}


def _too_large(size_bytes: int) -> errors.PayloadTooLarge:
    return errors.PayloadTooLarge(
        f"A resource is read whole up to {RESOURCE_BYTES} bytes; artifacts_content hands out pieces.",
        limit=RESOURCE_BYTES,
        size_bytes=size_bytes,
    )


def _resource(
    kind: Kind, view: Mapping[str, Any], named: Mapping[str, str], title: str, repository: Mapping[str, Any]
) -> dict[str, Any]:
    return _without_none(
        uri=kind.address(**named),
        name=f"{kind.name} {list(named.values())[-1]}",
        title=title,
        description=f"In {repository['label']}",
        mimeType=kind.media_type,
        annotations={"lastModified": view["updated_at"]},
    )


def _paged(limit: int, cursor: str) -> dict[str, Any]:
    return {"limit": limit, "cursor": cursor} if cursor else {"limit": limit}


def _without_none(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
