"""`ropeway gc`: what the retention in `daemon.toml` lets go, now.

Tests: tests/integration/daemon/test_retention.py.
"""

from collections.abc import Iterator

import click

from local_daemon.cli import options
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import garbage


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@options.json_option
@options.with_daemon(starts=True)
def gc(client: DaemonClient, *, dry_run: bool, as_json: bool) -> None:
    """Let old evidence, references to results, ignored files and worktrees go, by your [retention].

    The daemon does it by itself as well. Never goes: anything of an open run, a worktree that holds anything that is
    not recorded, and a reference whose evidence is kept."""
    view = client.call("garbage.collect", garbage.GarbageView, body=garbage.GarbageCollect(dry_run=dry_run))
    options.show(view, as_json=as_json, lines=lines(view))


def lines(view: garbage.GarbageView) -> Iterator[str]:
    """What a person reads of it."""
    word = "would go" if view.dry_run else "gone"
    yield f"{word}: {view.artifacts} pieces of evidence, {_size(view.artifact_bytes)}"
    yield f"{word}: {view.archives} archives of ignored files, {_size(view.archive_bytes)}"
    yield f"{word}: {view.worktrees} worktrees"
    for kept in view.worktrees_kept:
        yield f"  stays: worktrees/{kept.name or kept.attempt_id}: {kept.reason}"
    yield f"{word}: {view.refs} references to results"
    yield f"kept: {_size(view.evidence_bytes)} of evidence; worktrees take {_size(view.worktrees_bytes)}"


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
