"""An artifact's bytes to a browser, streamed from the machine through the one funnel.

Always an attachment, never shown: what it holds was made by an executor. Called by `admin/runs.py`. Tests:
tests/integration/cloud/relay/test_following.py.
"""

import re
from collections.abc import AsyncIterator

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from cloud.access.principals import Principal
from cloud.console import remote
from cloud.dispatch import services as dispatch
from cloud.runs.models import StepSnapshot
from local_daemon.protocol import errors, specs
from relay import contents

_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")


def download(request: HttpRequest, step: StepSnapshot, artifact_id: str) -> HttpResponseBase:
    """The artifact as a file. Raises Http404 for one that the machine does not have in this repository."""
    principal = remote.principal_for(request, step)
    machine = remote.machine_of(request, step)
    try:
        artifact = specs.ArtifactView.model_validate(machine.ask("artifacts.get", {"artifact_id": artifact_id}))
    except (errors.NotFound, errors.InvalidRequest):
        raise Http404 from None
    except errors.RopewayError as error:
        return HttpResponse(error.detail, status=error.row.http, content_type="text/plain; charset=utf-8")
    address = request.META.get("REMOTE_ADDR")
    response = StreamingHttpResponse(
        _pieces(principal, step, artifact.artifact_id, address), content_type="application/octet-stream"
    )
    name = _PLAIN.sub("-", artifact.name)[-100:].strip("-.") or "artifact"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Content-Length"] = str(artifact.size_bytes)
    response["Cache-Control"] = "no-store"
    return response


async def _pieces(
    principal: Principal, step: StepSnapshot, artifact_id: str, client_address: str | None
) -> AsyncIterator[bytes]:
    """What ends early breaks the connection, and so is never taken for the whole file."""
    answered = await dispatch.dispatch_operation(
        principal=principal,
        operation_name="artifacts.content",
        project_id=str(step.project_id),
        parameters={"artifact_id": artifact_id},
        query={},
        body=None,
        location=str(step.location_id),
        client_address=client_address,
    )
    content = answered.answer.content
    if content is None:
        yield contents.content_bytes(answered.answer.body)
        return
    try:
        async for piece in content:
            yield piece
    finally:
        await content.aclose()
