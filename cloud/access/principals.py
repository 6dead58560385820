"""Who asks, and what was granted: the two values that every surface passes down.

Pure. A Principal comes from `authentication` (a token) or `selectors` (a signed-in person); a Grant only from
`authorization.authorize`. Tests: tests/integration/cloud/access/.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from local_daemon.protocol.scopes import Scope


class PrincipalKind(StrEnum):
    """What kind of credential speaks."""

    TOKEN = "token"  # noqa: S105 - a word; a bearer token
    USER = "user"  # a signed-in person
    SYSTEM = "system"  # the installation itself: schedules, cloudctl


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An authenticated caller, in one organization, and how far they reach in it.

    `project_ids` None: every project. `workspace_id`: the one workspace that they reach as a whole, for who does not
    reach everything. `expires_at`: when what was opened in their name ends. `limited_as`: the token whose limits hold
    for who acts in its name without being it."""

    kind: PrincipalKind
    id: UUID | str
    organization_id: UUID
    label: str
    scopes: frozenset[Scope]
    project_ids: frozenset[UUID] | None = None
    workspace_id: UUID | None = None
    membership_id: UUID | None = None
    expires_at: datetime | None = None
    limited_as: UUID | None = None

    @property
    def counted_token_id(self) -> UUID | None:
        """The token that what they use is counted for; none for a person and for the installation."""
        return UUID(str(self.id)) if self.kind == PrincipalKind.TOKEN else self.limited_as


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """That a principal may do one thing; to one workspace or project where it names one.

    Services require it. One that takes the id of a row checks that the row lies within the principal's reach."""

    principal: Principal
    scope: Scope
    organization_id: UUID
    workspace_id: UUID | None = None
    project_id: UUID | None = None


def system_principal(organization_id: UUID, *, label: str, membership_id: UUID | None = None) -> Principal:
    """The installation acting in an organization's name; `label` says which part of it, `membership_id` on whose
    behalf."""
    return Principal(
        kind=PrincipalKind.SYSTEM,
        id=label,
        organization_id=organization_id,
        label=label,
        scopes=frozenset(Scope),
        membership_id=membership_id,
    )
