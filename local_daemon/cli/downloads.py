"""Evidence on its way to the operator: an artifact's bytes, checked against their digest, printed or into a file.

A file is whole or not there at all: what has come lies beside it until then, and where a download broke off the next
one goes on. Called by `artifacts` and `steps`. Tests: tests/unit/daemon/cli/test_downloads.py,
tests/integration/daemon/test_cli_artifacts.py.
"""

import base64
import codecs
import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from local_daemon.client.errors import ContentDamaged, DaemonUnreachable
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import errors, specs, terminals

_PATCH = "patch"
_DIGEST_CHARACTERS = 16
"""So much of the digest is in the name of a part, so that it only ever goes on with the very same bytes."""


def content_print(client: DaemonClient, repository_id: str, view: specs.ArtifactView) -> None:
    """Print the bytes as they are; on a terminal without what would steer it, which of a patch is spelled out. Raises
    ContentDamaged after them."""
    pieces = _checked(client, repository_id, view)
    if sys.stdout.isatty():
        shown = terminals.spelled if view.kind == _PATCH else terminals.plain
        for line in _lines(pieces):
            click.echo(shown(line.expandtabs()))
        return
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def content_document(client: DaemonClient, repository_id: str, view: specs.ArtifactView) -> dict[str, object]:
    """The artifact with exactly its bytes, in JSON. Raises ContentDamaged."""
    content = b"".join(_checked(client, repository_id, view))
    try:
        held = {"text": content.decode("utf-8")}
    except UnicodeDecodeError:
        held = {"base64": base64.b64encode(content).decode("ascii")}
    return {**view.model_dump(mode="json"), **held}


def content_save(
    client: DaemonClient, repository_id: str, view: specs.ArtifactView, target: Path, *, is_quiet: bool
) -> None:
    """Put the bytes into this file, in place of what it held. Raises ContentDamaged, InvalidRequest where it can't be
    written, DaemonUnreachable where the download broke off; what came until then is gone on with."""
    part = target.with_name(f".{target.name}.{view.sha256[:_DIGEST_CHARACTERS]}.part")
    try:
        with open(part, "a+b") as file:
            file.seek(0)
            digest, held = hashlib.file_digest(file, "sha256"), file.tell()
            if held > view.size_bytes:
                file.truncate(0)
                digest, held = hashlib.sha256(), 0
            for piece in _pieces(client, repository_id, view, held=held, is_quiet=is_quiet):
                file.write(piece)
                digest.update(piece)
        if digest.hexdigest() != view.sha256:
            part.unlink()
            raise ContentDamaged
        os.replace(part, target)
    except OSError as error:
        raise errors.InvalidRequest(f"{target}: {error.strerror}") from error
    except DaemonUnreachable as error:
        raise DaemonUnreachable(
            f"{errors.said(error)} What came of {view.name} is kept: say it again to go on."
        ) from error


def _checked(client: DaemonClient, repository_id: str, view: specs.ArtifactView) -> Iterator[bytes]:
    digest = hashlib.sha256()
    # Nothing is told of it: a pager may have the terminal.
    for piece in _pieces(client, repository_id, view, held=0, is_quiet=True):
        digest.update(piece)
        yield piece
    if digest.hexdigest() != view.sha256:
        raise ContentDamaged


def _pieces(
    client: DaemonClient, repository_id: str, view: specs.ArtifactView, *, held: int, is_quiet: bool
) -> Iterator[bytes]:
    """What is missing of the bytes, told on a terminal as it comes."""
    if held == view.size_bytes:
        return
    parameters = {"repository_id": repository_id, "artifact_id": view.artifact_id}
    with _progress(view, held=held, is_quiet=is_quiet) as came:
        for piece in client.content(parameters, offset=held):
            yield piece
            came(len(piece))


@contextmanager
def _progress(view: specs.ArtifactView, *, held: int, is_quiet: bool) -> Iterator[Callable[[int], None]]:
    if is_quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=view.size_bytes, label=terminals.plain(view.name), file=sys.stderr) as bar:
        bar.update(held)
        yield bar.update


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """As text, whatever is no text replaced."""
    decoder, rest = codecs.getincrementaldecoder("utf-8")("replace"), ""
    for piece in pieces:
        *whole, rest = (rest + decoder.decode(piece)).split("\n")
        yield from whole
    if rest := rest + decoder.decode(b"", final=True):
        yield rest
