"""The bytes of an artifact over the daemon's HTTP door: whole, a range of them, or none for who has them."""

import hashlib
from typing import Any

import httpx
import pytest

from tests.integration.daemon.door import API, Door
from tests.integration.daemon.machine import PATCH


@pytest.fixture(scope="module")
def artifact(door: Door, repository_id: str) -> dict[str, Any]:
    """The patch artifact of a finished step."""
    step_id = door.submit(repository_id, door.run_create(repository_id), executor="patch", patch=PATCH)
    assert door.wait(repository_id, step_id)["state"] == "completed"
    result = door.get(f"/repositories/{repository_id}/steps/{step_id}/result")
    return dict(result["patch"])


def _content(door: Door, repository_id: str, artifact: dict[str, Any], **headers: str) -> httpx.Response:
    path = f"/repositories/{repository_id}/artifacts/{artifact['artifact_id']}/content"
    return door.http.get(API + path, headers=headers)


def test_an_artifact_comes_as_its_bytes(door: Door, repository_id: str, artifact: dict[str, Any]) -> None:
    answer = _content(door, repository_id, artifact)
    assert answer.status_code == 200
    assert hashlib.sha256(answer.content).hexdigest() == artifact["sha256"]
    assert answer.headers["etag"] == f'"{artifact["sha256"]}"'
    assert answer.headers["content-length"] == str(artifact["size_bytes"])
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("shown", ['"{}"', 'W/"{}"', '"other", "{}"', "*"])
def test_content_that_the_client_has_is_not_sent_again(
    door: Door, repository_id: str, artifact: dict[str, Any], shown: str
) -> None:
    asked = {"If-None-Match": shown.format(artifact["sha256"]), "Range": "bytes=0-9"}
    for _ in range(2):  # On the same connection: nothing is left over of the first answer.
        answer = _content(door, repository_id, artifact, **asked)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == f'"{artifact["sha256"]}"'


@pytest.mark.parametrize("shown", ['"other"', "", '"'])
def test_content_that_the_client_has_not_is_sent(
    door: Door, repository_id: str, artifact: dict[str, Any], shown: str
) -> None:
    answer = _content(door, repository_id, artifact, **{"If-None-Match": shown})
    assert (answer.status_code, len(answer.content)) == (200, artifact["size_bytes"])


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [("bytes=0-9", 0, 10), ("bytes=5-", 5, None), ("bytes=3-999999", 3, None), ("bytes=-4", -4, None)],
)
def test_a_range_of_an_artifact(
    door: Door, repository_id: str, artifact: dict[str, Any], asked: str, begin: int, end: int | None
) -> None:
    whole = _content(door, repository_id, artifact).content
    answer = _content(door, repository_id, artifact, Range=asked)
    assert answer.status_code == 206
    assert answer.content == whole[begin:end]
    first = begin % len(whole)
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(whole)}"


@pytest.mark.parametrize("asked", ["bytes=999999-", "bytes=999999-1000000"])
def test_a_range_beyond_the_end_is_refused_with_the_size(
    door: Door, repository_id: str, artifact: dict[str, Any], asked: str
) -> None:
    answer = _content(door, repository_id, artifact, Range=asked)
    assert (answer.status_code, answer.json()["code"]) == (416, "range_invalid")
    assert answer.headers["content-range"] == f"bytes */{artifact['size_bytes']}"


@pytest.mark.parametrize("asked", ["bytes=0-1,3-4", "lines=0-1", "bytes=9-3", "bytes=x-"])
def test_a_range_we_do_not_understand_is_answered_whole(
    door: Door, repository_id: str, artifact: dict[str, Any], asked: str
) -> None:
    """RFC 9110, section 14.2: a server may ignore the Range header."""
    answer = _content(door, repository_id, artifact, Range=asked)
    assert answer.status_code == 200
    assert len(answer.content) == artifact["size_bytes"]


def test_a_head_tells_size_and_digest_without_the_bytes(
    door: Door, repository_id: str, artifact: dict[str, Any]
) -> None:
    path = f"/repositories/{repository_id}/artifacts/{artifact['artifact_id']}/content"
    answer = door.http.head(API + path)
    assert answer.headers["content-length"] == str(artifact["size_bytes"])
    assert answer.content == b""


def test_a_client_that_leaves_in_the_middle_harms_nobody(
    door: Door, repository_id: str, artifact: dict[str, Any]
) -> None:
    path = f"/repositories/{repository_id}/artifacts/{artifact['artifact_id']}/content"
    with door.http.stream("GET", API + path) as answer:
        next(answer.iter_raw(1))
    assert door.get("/instance")["instance_id"]
