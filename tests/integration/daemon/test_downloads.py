"""Evidence on its way out: what breaks in the middle is an error for whoever reads, never a short file."""

import hashlib
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local_daemon.client import http
from local_daemon.client.errors import DaemonUnreachable
from local_daemon.config import home as homes
from tests.integration.daemon.door import API, Door, door_open
from tests.integration.daemon.machine import repository_make

MEGABYTES = 24


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one commit."""
    return repository_make(tmp_path_factory.mktemp("large") / "r")


@pytest.fixture
def large(repository: Path, tmp_path: Path) -> Iterator[tuple[Door, str, dict[str, str]]]:
    """A daemon, a repository, and an artifact far larger than any buffer on the way."""
    with door_open(tmp_path / "home") as door:
        repository_id = door.repository_add(repository)
        check = {"name": "large", "command": f"head -c {MEGABYTES}000000 /dev/zero | tr '\\0' x"}
        step_id = door.submit(repository_id, door.run_create(repository_id), validations=[check])
        assert door.wait(repository_id, step_id)["state"] == "completed"
        items = door.get(f"/repositories/{repository_id}/steps/{step_id}/artifacts")["items"]
        yield door, repository_id, max(items, key=lambda item: item["size_bytes"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_a_daemon_that_ends_in_the_middle_of_a_download_is_an_error(
    large: tuple[Door, str, dict[str, str]], number: signal.Signals
) -> None:
    door, repository_id, artifact = large
    path = f"/repositories/{repository_id}/artifacts/{artifact['artifact_id']}/content"
    with door.http.stream("GET", API + path) as answer:
        pieces = answer.iter_raw(1000)
        next(pieces)
        door.stop(number)
        with pytest.raises(httpx.RemoteProtocolError):
            list(pieces)


def test_the_client_of_the_command_line_says_so_too(large: tuple[Door, str, dict[str, str]]) -> None:
    door, repository_id, artifact = large
    with http.connect(homes.Home(root=door.home)) as client:
        pieces = client.content({"repository_id": repository_id, "artifact_id": artifact["artifact_id"]})
        next(pieces)
        door.stop(signal.SIGKILL)
        with pytest.raises(DaemonUnreachable):
            list(pieces)


def test_evidence_that_is_damaged_on_the_disk_never_arrives_whole(large: tuple[Door, str, dict[str, str]]) -> None:
    door, repository_id, artifact = large
    path = f"/repositories/{repository_id}/artifacts/{artifact['artifact_id']}/content"
    blob = next(found for found in (door.home / "artifacts").rglob("*") if found.name.endswith(artifact["sha256"][2:]))
    content = blob.read_bytes()
    for damaged in (content[:-1], content[:-1] + b"!"):
        blob.chmod(0o600)
        blob.write_bytes(damaged)
        with pytest.raises(httpx.RemoteProtocolError):
            door.http.get(API + path)
    blob.write_bytes(content)
    assert hashlib.sha256(door.http.get(API + path).content).hexdigest() == artifact["sha256"]
