"""Addresses of what a planner may read as a resource: `ropeway://projects/{project_id}/…`, and back.

Pure. An address says what and where, never whether one may: that is decided when it is read. Called by `resources` and
`tools`. Tests: tests/unit/relay/test_mcp_addresses.py.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import quote, unquote

from local_daemon.protocol import errors, ids, operation

ADDRESS_CHARACTERS = 500
_UUID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_PLACE = re.compile(r"[\x21-\x7e]{1,64}")
_ADDRESS = re.compile(r"ropeway://projects/([^/?#]+)/([a-z]+)/([^/?#]+)(?:/([a-z]+))?(?:\?location=([^&#]+))?")


class Kind(StrEnum):
    """What can be read."""

    RUN = "run"  # an objective and where it stands
    RESULT = "result"  # what a step came to
    PATCH = "patch"  # what a step changed
    ARTIFACT = "artifact"  # any piece of evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How a kind is spelled: `…/{collection}/{id}[/{part}]`."""

    collection: str
    parameter: str
    part: str | None = None


_FORMS: Mapping[Kind, _Form] = MappingProxyType(
    {
        Kind.RUN: _Form(collection="runs", parameter="run_id"),
        Kind.RESULT: _Form(collection="steps", parameter="step_id", part="result"),
        Kind.PATCH: _Form(collection="steps", parameter="step_id", part="patch"),
        Kind.ARTIFACT: _Form(collection="artifacts", parameter="artifact_id"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One thing that can be read. `location` chooses where its project is in several places."""

    kind: Kind
    project_id: str
    id: str
    location: str | None = None

    @property
    def parameters(self) -> dict[str, str]:
        """As the machine's operations name it."""
        return {_FORMS[self.kind].parameter: self.id}

    def __str__(self) -> str:
        place = f"?location={quote(self.location, safe='')}" if self.location else ""
        return f"ropeway://projects/{self.project_id}/{_spelled(self.kind, self.id)}{place}"


def address_read(uri: str) -> Address:
    """The address behind a URI. Raises NotFound for what can be none of ours."""
    found = _ADDRESS.fullmatch(uri) if len(uri) <= ADDRESS_CHARACTERS else None
    if found is None:
        raise errors.NotFound("There is no such resource; see resources/templates/list.")
    project_id, collection, named, part, location = found.groups()
    place = unquote(location) if location else None
    for kind, form in _FORMS.items():
        is_it = (form.collection, form.part) == (collection, part)
        if is_it and _is_well(form, project_id, named) and (place is None or _PLACE.fullmatch(place)):
            return Address(kind=kind, project_id=project_id, id=named, location=place)
    raise errors.NotFound("There is no such resource; see resources/templates/list.")


def template_of(kind: Kind) -> str:
    """The URI template (RFC 6570) of a kind."""
    form = _FORMS[kind]
    return f"ropeway://projects/{{project_id}}/{_spelled(kind, f'{{{form.parameter}}}')}{{?location}}"


def _spelled(kind: Kind, named: str) -> str:
    form = _FORMS[kind]
    return "/".join(filter(None, (form.collection, named, form.part)))


def _is_well(form: _Form, project_id: str, named: str) -> bool:
    is_id = ids.is_id(operation.PARAMETER_PREFIX[form.parameter], named)
    return is_id and _UUID.fullmatch(project_id) is not None
