"""`ropeway artifact …`: evidence of steps, as it is on record.

How its bytes reach the operator is `downloads`'. Tests: tests/integration/daemon/test_cli_artifacts.py.
"""

from collections.abc import Sequence
from pathlib import Path

import click

from local_daemon.cli import downloads, naming, options, values
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import errors, ids, messages, specs


@click.group()
def artifact() -> None:
    """Evidence of steps: patches, output, signed manifests."""


@artifact.command("list")
@click.argument("step_id", shell_complete=values.step)
@options.page_options()
@values.repository_option
@options.json_option
@options.with_daemon()
def artifact_list(
    client: DaemonClient, *, step_id: str, limit: int, cursor: str | None, repository: str | None, as_json: bool
) -> None:
    """List the evidence of a step, all attempts, oldest first."""
    place = naming.place_find(client, repository, ids.IdPrefix.STEP, step_id)
    query = options.page_query(limit=limit, cursor=cursor)
    page = client.call("artifacts.list", messages.ArtifactPage, parameters=place, query=query)
    shown = options.page_lines(
        (_line(item) for item in page.items), next_cursor=page.next_cursor, none="Nothing is on record yet."
    )
    options.show(page, as_json=as_json, lines=shown)


@artifact.command("get")
@click.argument("of", metavar="STEP_ID|ARTIFACT_ID", shell_complete=values.step_or_artifact)
@click.argument("name", required=False, shell_complete=values.artifact_name)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="Write to this file, or into this folder (default: standard output).",
)
@options.quiet_option
@values.repository_option
@options.json_option
@options.with_daemon()
def artifact_get(
    client: DaemonClient,
    *,
    of: str,
    name: str | None,
    output: Path | None,
    quiet: bool,
    repository: str | None,
    as_json: bool,
) -> None:
    """Get evidence: one artifact by its id, or by NAME of a step's newest attempt; with no NAME all of it.

    Every byte is checked against the digest on record. A download to a file that broke off goes on where it was."""
    place, found = _wanted(client, repository, of, name)
    repository_id = place["repository_id"]
    is_all = "step_id" in place and name is None
    if output is None:
        if is_all:
            raise click.UsageError(f"Say which of {_names(found)}; or all of it into a folder with --output.")
        if as_json:
            options.show(downloads.content_document(client, repository_id, found[0]), as_json=True, lines=())
        else:
            downloads.content_print(client, repository_id, found[0])
        return
    saved = []
    for view, target in _targets(found, output, is_folder=is_all):
        downloads.content_save(client, repository_id, view, target, is_quiet=quiet or as_json)
        saved.append({**view.model_dump(mode="json"), "file": str(target)})
    document = {"items": saved} if is_all else saved[0]
    options.show(document, as_json=as_json, lines=[f"{item['file']}  {item['size_bytes']} bytes" for item in saved])


def _wanted(
    client: DaemonClient, repository: str | None, of: str, name: str | None
) -> tuple[dict[str, str], Sequence[specs.ArtifactView]]:
    """Where they are, and which are meant."""
    if of.startswith(f"{ids.IdPrefix.ARTIFACT}_"):
        if name is not None:
            raise click.UsageError("An artifact's id goes without a NAME.")
        place = naming.place_find(client, repository, ids.IdPrefix.ARTIFACT, of)
        return place, [client.call("artifacts.get", specs.ArtifactView, parameters=place)]
    place = naming.place_find(client, repository, ids.IdPrefix.STEP, of)
    kept = client.call("steps.result", specs.ResultSpec, parameters=place).artifacts
    found = [view for view in kept if name in (None, view.name)]
    if not found:
        there = f"its newest attempt left {_names(kept)}" if kept else "its newest attempt left nothing so far"
        raise errors.NotFound(f"{place['step_id']}: there is no {name or 'evidence'}; {there}.")
    return place, found


def _targets(
    views: Sequence[specs.ArtifactView], output: Path, *, is_folder: bool
) -> list[tuple[specs.ArtifactView, Path]]:
    """The file of each."""
    if is_folder:
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise errors.InvalidRequest(f"{output}: {error.strerror}") from error
    # A name is the last of its path, whatever stands in it: nothing is ever written beside the folder.
    return [(view, output / Path(view.name).name if is_folder or output.is_dir() else output) for view in views]


def _names(views: Sequence[specs.ArtifactView]) -> str:
    return ", ".join(view.name for view in views)


def _line(view: specs.ArtifactView) -> str:
    gone = "" if view.expired_at is None else f"  let go on {view.expired_at:%Y-%m-%d}"
    return f"{view.artifact_id}  {view.size_bytes:>10}  {view.sha256[:16]}  {view.name}{gone}"
