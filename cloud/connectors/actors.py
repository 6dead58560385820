"""A connector as somebody who acts, for the audit. Tests: tests/integration/cloud/connectors/."""

from dataclasses import dataclass
from uuid import UUID

from cloud.connectors.models import Connector


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorActor:
    """A machine acting in its organization's name."""

    id: UUID
    label: str
    organization_id: UUID
    kind: str = "connector"

    @classmethod
    def of(cls, connector: Connector) -> "ConnectorActor":
        """The actor behind a row."""
        return cls(id=connector.id, label=connector.label, organization_id=connector.organization_id)
