"""A person as somebody who acts, where no grant speaks for them: they are becoming a member just now."""

from dataclasses import dataclass
from uuid import UUID

from cloud.accounts.models import User


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonActor:
    """A signed-in person in an organization."""

    id: UUID
    label: str
    organization_id: UUID
    kind: str = "user"

    @classmethod
    def of(cls, user: User, *, organization_id: UUID) -> "PersonActor":
        """The actor behind an account."""
        return cls(id=user.id, label=user.email, organization_id=organization_id)
