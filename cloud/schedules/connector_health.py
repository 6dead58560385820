"""Whether machines answer, as a polled source: each is asked for a repository it shares, through the funnel.

What may be asked of a machine from outside names a repository; its version and the executors that can be used there
are therefore told as the machine offered them last, which it does anew whenever they change.

A page is some machines, in order; an item is news only when a machine answers otherwise than it did, so that the row
says since when. Looked at by the admin's fleet. Called by `polling`. Tests:
tests/integration/cloud/schedules/test_connector_health.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cloud.access.principals import system_principal
from cloud.connectors.models import Connector, Location
from cloud.dispatch.services import dispatch_operation_sync
from cloud.polling.models import ConnectorHealth, Health
from cloud.polling.source import Item, Page
from cloud.tenancy import scope
from cloud.tenancy.models import Status
from local_daemon.protocol import errors

MACHINES = 20
_ANSWER_S = 5.0

Dispatch = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """How one machine is."""

    connector_id: UUID
    health: Health
    version: str = ""
    executors: tuple[str, ...] = ()
    code: str = ""


class ConnectorHealthSource:
    """The machines of one organization."""

    name, subject_id = "connector-health", ""
    every, overlap = timedelta(minutes=10), timedelta(0)

    def __init__(self, organization_id: UUID, *, dispatch: Dispatch = dispatch_operation_sync) -> None:
        self._organization_id = organization_id
        self._dispatch = dispatch

    def fetch(self, cursor: dict[str, Any], *, overlap: timedelta) -> Page:
        """Ask the next machines; after the last one the cursor begins anew."""
        with scope.organization(self._organization_id):
            machines = Connector.objects.filter(organization_id=self._organization_id, status=Status.ACTIVE)
            if "after" in cursor:
                machines = machines.filter(id__gt=cursor["after"])
            asked = list(machines.order_by("id")[: MACHINES + 1])
            places = {
                place.instance.connector_id: place
                for place in Location.objects.filter(
                    is_shared=True, project_id__isnull=False, instance__connector__in=asked[:MACHINES]
                ).select_related("instance")
            }
            known = {row.connector_id: row for row in ConnectorHealth.objects.filter(connector__in=asked[:MACHINES])}
        found = [self._ask(machine, places.get(machine.id)) for machine in asked[:MACHINES]]
        items = [_item(one, known.get(one.connector_id)) for one in found]
        is_last = len(asked) <= MACHINES
        news = [item for item in items if item is not None]
        return Page(items=news, cursor={} if is_last else {"after": str(asked[MACHINES - 1].id)}, is_last=is_last)

    def apply(self, items: Sequence[Item]) -> None:
        """Note how each is now, and since when."""
        for item in items:
            found: _Found = item.told
            facts: dict[str, Any] = {
                "health": found.health,
                "version": found.version,
                "executors": list(found.executors),
                "code": found.code,
            }
            row = ConnectorHealth.objects.filter(connector_id=found.connector_id).first()
            if row is None or row.health != found.health:
                facts["since"] = datetime.now(UTC)
            ConnectorHealth.objects.update_or_create(
                connector_id=found.connector_id, defaults={"organization_id": self._organization_id, **facts}
            )

    def _ask(self, machine: Connector, place: Location | None) -> _Found:
        if not machine.link_owner or place is None:
            # Linked without anything shared: there is no way to ask, and nothing that could be asked of it.
            return _Found(connector_id=machine.id, health=Health.HEALTHY if machine.link_owner else Health.OFFLINE)
        try:
            self._dispatch(
                principal=system_principal(self._organization_id, label="connector health"),
                operation_name="repositories.get",
                project_id=str(place.project_id),
                parameters={},
                query={},
                body=None,
                location=str(place.id),
                deadline_s=_ANSWER_S,
            )
        except errors.ConnectorOffline:
            return _Found(connector_id=machine.id, health=Health.OFFLINE)
        except errors.RopewayError as error:
            return _Found(connector_id=machine.id, health=Health.UNREACHABLE, code=error.code)
        usable = tuple(sorted(place.instance.executors))
        health = Health.HEALTHY if usable else Health.DEGRADED
        return _Found(connector_id=machine.id, health=health, version=place.instance.version, executors=usable)


def _item(found: _Found, known: ConnectorHealth | None) -> Item | None:
    """None where the machine is as it was."""
    now = (found.health.value, found.version, list(found.executors), found.code)
    if known is not None and (known.health, known.version, known.executors, known.code) == now:
        return None
    return Item(key=f"{found.connector_id}:{datetime.now(UTC).isoformat()}", told=found)
