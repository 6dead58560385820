"""What commands share: the organization they are for, names instead of ids, versions, and pages.

Names of workspaces, projects and members may be given instead of ids. Tests:
tests/integration/cloud/cloudctl/test_tenants.py.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from uuid import UUID

import click

from cloud.cloudctl import printing
from cloud.cloudctl.door import ANY_VERSION, Door
from local_daemon.protocol import errors, limits

F = TypeVar("F", bound=Callable[..., Any])

ROWS_MAX = 10_000
"""How many rows one command follows the pages for."""

organization_option = click.option(
    "--organization",
    envvar="CLOUDCTL_ORGANIZATION",
    metavar="SLUG",
    help="The organization to act in; not needed where there is one, or for a cloud by URL.",
)
_version_option = click.option(
    "--version", "version", type=click.IntRange(0), help="Only if it still is this version, so that no change is lost."
)
_limit_option = click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, ROWS_MAX), help="How many at most."
)
_cursor_option = click.option("--cursor", help="Where the list before ended: its `next_cursor`.")


def versioned(command: F) -> F:
    """The option of a change that somebody else's may cross."""
    return _version_option(command)


def paged(command: F) -> F:
    """The options of a list."""
    return _limit_option(_cursor_option(command))


def matching(version: int | None) -> str:
    """The If-Match of a change: of the version that was seen, or of whatever there is."""
    return ANY_VERSION if version is None else f'"{version}"'


def page_ask(
    door: Door,
    path: str,
    names: Mapping[str, str] | None = None,
    *,
    limit: int,
    cursor: str | None,
    query: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A list's rows, page after page, up to `limit`; and where it goes on."""
    rows: list[Any] = []
    while True:
        size = min(limit - len(rows), limits.PAGE_ITEMS_MAX)
        asked = {**given(query or {}), "limit": size, **({} if cursor is None else {"cursor": cursor})}
        page = door.ask("GET", path, names, query=asked)
        rows += page["items"]
        cursor = page["next_cursor"]
        if cursor is None or len(rows) >= limit:
            return {"items": rows, "next_cursor": cursor}


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were said, as a query or body has them."""
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in options.items()
        if value not in (None, "")
    }


def workspace_named(door: Door, name: str) -> str:
    """The id of the workspace of that slug or id. Raises NotFound."""
    if _is_id(name):
        return name
    found = page_ask(door, "/workspaces", limit=ROWS_MAX, cursor=None, query={"search": name})
    for row in found["items"]:
        if row["slug"] == name:
            return str(row["workspace_id"])
    raise errors.NotFound(f"There is no workspace {name!r}; `cloudctl workspace list` tells their slugs.")


def project_named(door: Door, name: str) -> str:
    """The id of the project of that id, or of `workspace/project` by their slugs.

    A project's slug alone will do where only one workspace has it. Raises NotFound, InvalidRequest."""
    if _is_id(name):
        return name
    workspace, _, slug = name.rpartition("/")
    query: dict[str, Any] = {"search": slug}
    if workspace:
        query["workspace_id"] = workspace_named(door, workspace)
    rows = page_ask(door, "/projects", limit=ROWS_MAX, cursor=None, query=query)["items"]
    found = [str(row["project_id"]) for row in rows if row["slug"] == slug]
    if not found:
        raise errors.NotFound(f"There is no project {name!r}; `cloudctl project list` tells their slugs.")
    if len(found) > 1:
        raise errors.InvalidRequest(f"Several workspaces have a project {name!r}; name it WORKSPACE/PROJECT.")
    return found[0]


def target_named(door: Door, workspace_name: str | None, project_name: str | None) -> dict[str, str]:
    """What a command is for, as far as it is named: for a body, or for a filter. Raises NotFound."""
    found = {}
    if workspace_name:
        found["workspace_id"] = workspace_named(door, workspace_name)
    if project_name:
        found["project_id"] = project_named(door, project_name)
    return found


def page_named(door: Door, page: dict[str, Any]) -> dict[str, Any]:
    """A page of what serves projects, for people with `serves` in each row: `workspace/project`, a workspace, or all of
    the organization. Programs read ids, so for them nothing is asked."""
    if not printing.is_for_people() or not page["items"]:
        return page
    names = _place_names(door)
    return {**page, "items": [{**row, "serves": _served(row, names)} for row in page["items"]]}


def _place_names(door: Door) -> dict[str, str]:
    """What people call workspaces and projects, by id; as far as the credential may know."""
    names: dict[str, str] = {}
    for path, key in (("/workspaces", "workspace_id"), ("/projects", "project_id")):
        try:
            rows = page_ask(door, path, limit=ROWS_MAX, cursor=None)["items"]
        except errors.Forbidden:
            continue
        for row in rows:
            within = f"{names.get(row['workspace_id'], '?')}/" if key == "project_id" else ""
            names[row[key]] = f"{within}{row['slug']}"
    return names


def _served(row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    place = row.get("claim", row)
    if place is None:
        return ""
    found = place.get("project_id") or place.get("workspace_id")
    if found is not None:
        return names.get(found, found)
    return "the organization" if "claim" in row else ""


def _is_id(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True
