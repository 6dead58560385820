"""The machine behind a row, asked in the viewer's name through the one funnel: authorized, recorded and audited there.

Used by the pages that show what only the machine has. Tests: tests/integration/cloud/relay/test_deciding.py and
test_following.py.
"""

import contextvars
from collections.abc import Mapping
from typing import Any

from django.http import Http404, HttpRequest

from cloud.access.principals import Principal
from cloud.console import viewer
from cloud.dispatch.services import dispatch_operation_sync
from cloud.runs.models import Snapshot

DEADLINE_S = 15.0


class RemoteMachine:
    """Where a snapshot came from."""

    def __init__(self, principal: Principal, snapshot: Snapshot, client_address: str | None) -> None:
        self._principal = principal
        self._snapshot = snapshot
        self._client_address = client_address

    def ask(
        self,
        operation: str,
        parameters: Mapping[str, str],
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """One operation's answer. Raises every error of the table."""
        # A context of its own: the page's tenant scope, an operator's perhaps, is not the call's.
        answered = contextvars.Context().run(
            dispatch_operation_sync,
            principal=self._principal,
            operation_name=operation,
            project_id=str(self._snapshot.project_id),
            parameters=parameters,
            query=query or {},
            body=body,
            location=str(self._snapshot.location_id),
            deadline_s=DEADLINE_S,
            client_address=self._client_address,
        )
        return answered.answer.body


def machine_of(request: HttpRequest, snapshot: Snapshot) -> RemoteMachine:
    """The snapshot's machine, as the viewer may ask it. Raises Http404 for who is nobody in its organization."""
    principal = principal_for(request, snapshot)
    return RemoteMachine(principal, snapshot, request.META.get("REMOTE_ADDR"))


def principal_for(request: HttpRequest, snapshot: Snapshot) -> Principal:
    """Who the viewer is in the snapshot's organization. Raises Http404 for nobody."""
    principal = viewer.principal_of(request, organization_id=snapshot.organization_id)
    if principal is None:
        raise Http404
    return principal
