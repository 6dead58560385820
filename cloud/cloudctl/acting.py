"""In whose name a command acts: the installation's, in the organization that `--organization` names.

Whoever has the database's URL needs no role; what they do is audited as `cloudctl`. Names of workspaces and projects
may be given instead of ids. Tests: tests/integration/cloud/cloudctl/test_tenants.py.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

import click

from cloud.access import authorization
from cloud.access.principals import Grant, Principal, system_principal
from cloud.tenancy import scope, selectors
from cloud.tenancy.models import Project, Workspace
from local_daemon.protocol import errors

F = TypeVar("F", bound=Callable[..., Any])

LABEL = "cloudctl"

organization_option = click.option(
    "--organization", required=True, metavar="SLUG", help="The organization to act in; see `cloudctl org list`."
)
version_option = click.option(
    "--version", "expected_version", type=int, help="Only if it still is this version, so that no change is lost."
)
limit_option = click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 200), help="How many at most."
)
after_option = click.option("--after", type=click.UUID, help="Those after this one: the page that follows.")


def paged(command: F) -> F:
    """The options of a list."""
    return limit_option(after_option(command))


@contextmanager
def acting_in(slug: str) -> Iterator[Principal]:
    """Act in an organization: its scope is open inside. Raises NotFound."""
    found = selectors.organizations(slug=slug)
    if not found:
        raise errors.NotFound(f"There is no organization {slug!r}.")
    with scope.organization(found[0].id):
        yield system_principal(found[0].id, label=LABEL)


def granted(principal: Principal, service: Callable[..., Any], **target: UUID | None) -> Grant:
    """The grant that a service needs."""
    return authorization.authorize_for(principal, service, **target)


def workspace_named(name: str) -> UUID:
    """The workspace of that slug or id, in the open scope. Raises NotFound."""
    found = Workspace.objects.filter(**_key(name)).values_list("id", flat=True).first()
    if found is None:
        raise errors.NotFound(f"There is no workspace {name!r}.")
    return found


def project_named(name: str) -> UUID:
    """The project of that id, or of `workspace/project` by their slugs, in the open scope.

    A project's slug alone will do where only one workspace has it. Raises NotFound, InvalidRequest."""
    workspace, _, slug = name.rpartition("/")
    rows = Project.objects.filter(**_key(slug))
    if workspace:
        rows = rows.filter(workspace__slug=workspace)
    found = list(rows.values_list("id", flat=True)[:2])
    if not found:
        raise errors.NotFound(f"There is no project {name!r}.")
    if len(found) > 1:
        raise errors.InvalidRequest(f"Several workspaces have a project {name!r}; name it WORKSPACE/PROJECT.")
    return found[0]


def target_named(workspace_name: str | None, project_name: str | None) -> dict[str, UUID | None]:
    """What a command is for, as far as it is named: for `granted`, or for a filter. Raises NotFound."""
    return {
        "workspace_id": workspace_named(workspace_name) if workspace_name else None,
        "project_id": project_named(project_name) if project_name else None,
    }


def _key(name: str) -> dict[str, Any]:
    try:
        return {"id": UUID(name)}
    except ValueError:
        return {"slug": name}
