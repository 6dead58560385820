"""What of a tool's answer can be read as a resource: links beside the answer, as the cloud's server gives them too.

Of a step's result it is the patch, of a list of artifacts each one, so never more than a page of them; nothing that
is too long to be read whole, or that the machine's retention let go. Called by `server`.
Tests: tests/integration/daemon/test_mcp.py.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from local_daemon.mcp_server import resources
from local_daemon.protocol.operation import Operation

_SINCE = "2025-06-18"
"""The first revision whose clients know links; those of an older one throw an answer away that has one."""

Arguments = Mapping[str, Any]
Answer = Mapping[str, Any]


def links_of(
    operation: Operation, arguments: Arguments, answer: Answer, *, revision: str | None
) -> list[dict[str, Any]]:
    """The content blocks that point at resources, for a client of this revision; None where it tells none."""
    found = _LINKS.get(operation.name)
    return [] if found is None or revision is None or revision < _SINCE else list(found(arguments, answer))


def _of_result(arguments: Arguments, answer: Answer) -> Iterator[dict[str, Any]]:
    if answer["patch"] is not None and _is_readable(answer["patch"]):
        named = {"repository_id": arguments["repository_id"], "step_id": answer["step_id"]}
        yield _link(resources.PATCH.address(**named), answer["patch"], name="patch")


def _of_artifacts(arguments: Arguments, answer: Answer) -> Iterator[dict[str, Any]]:
    for artifact in filter(_is_readable, answer["items"]):
        named = {"repository_id": arguments["repository_id"], "artifact_id": artifact["artifact_id"]}
        yield _link(resources.ARTIFACT.address(**named), artifact, name=artifact["name"])


_LINKS: Mapping[str, Callable[[Arguments, Answer], Iterator[dict[str, Any]]]] = MappingProxyType(
    {"steps.result": _of_result, "artifacts.list": _of_artifacts}
)


def _is_readable(artifact: Mapping[str, Any]) -> bool:
    return artifact["expired_at"] is None and artifact["size_bytes"] <= resources.RESOURCE_BYTES


def _link(address: str, artifact: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    return {
        "type": "resource_link",
        "uri": address,
        "name": name,
        "mimeType": artifact["media_type"],
        "size": artifact["size_bytes"],
    }
