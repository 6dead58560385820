"""Who made a call, as its row remembers, for the audit of what comes of it later."""

from dataclasses import dataclass
from uuid import UUID

from cloud.dispatch.models import OperationCall


@dataclass(frozen=True, slots=True, kw_only=True)
class CallActor:
    """The principal of a recorded call."""

    kind: str
    id: str
    label: str
    organization_id: UUID

    @classmethod
    def of(cls, row: OperationCall) -> "CallActor":
        """The actor behind a row."""
        return cls(
            kind=row.principal_kind,
            id=row.principal_id,
            label=row.principal_label,
            organization_id=row.organization_id,
        )
