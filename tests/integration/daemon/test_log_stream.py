"""A step's output as server-sent events: what there is, what comes, and where to go on after a break."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.daemon.door import API, Door

GIVES_UP_S = 20


def followed(door: Door, path: str, last_id: str | None = None, **query: Any) -> Iterator[tuple[str, str, Any]]:
    """Each event's id, name and data."""
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    fields: dict[str, str] = {}
    with door.http.stream("GET", API + path, params=query, headers=headers, timeout=GIVES_UP_S) as response:
        assert response.status_code == 200, response.read()
        for line in response.iter_lines():
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                yield fields.get("id", ""), fields["event"], json.loads(fields["data"])
                fields = {}


@pytest.fixture(scope="module")
def done(door: Door, repository_id: str) -> str:
    """The path of the log of a step that is done."""
    step_id = door.submit(repository_id, door.run_create(repository_id))
    door.wait(repository_id, step_id)
    return f"/repositories/{repository_id}/steps/{step_id}/log/stream"


def test_a_finished_log_is_told_whole_and_ends(door: Door, done: str) -> None:
    *chunks, end = followed(door, done)
    assert end[1] == "end"
    assert "".join(data["text"] for _, _, data in chunks) == door.get(done.removesuffix("/stream"))["text"]


def test_a_reader_goes_on_after_what_it_has_seen(door: Door, done: str) -> None:
    pieces = [(seen, data["text"]) for seen, name, data in followed(door, done, length=5) if name == "chunk"]
    assert len(pieces) > 2
    later = [data["text"] for _, name, data in followed(door, done, last_id=pieces[0][0], length=5) if name == "chunk"]
    assert "".join(later) == "".join(text for _, text in pieces[1:])


def test_a_follower_is_told_when_the_output_comes(door: Door, repository_id: str) -> None:
    step_id = door.submit(repository_id, door.run_create(repository_id), gates={"before": True})
    gate_id = door.wait(repository_id, step_id)["gate_id"]
    door.post(f"/repositories/{repository_id}/gates/{gate_id}/decide", approval(door, repository_id, gate_id))
    names = [name for _, name, _ in followed(door, f"/repositories/{repository_id}/steps/{step_id}/log/stream")]
    assert names == ["chunk", "end"]


def approval(door: Door, repository_id: str, gate_id: str) -> dict[str, Any]:
    digest = door.get(f"/repositories/{repository_id}/gates/{gate_id}")["digest"]
    return {"decision": "approve", "digest": digest}


def test_a_step_that_never_ran_ends_its_log_at_once(door: Door, repository_id: str) -> None:
    step_id = door.submit(repository_id, door.run_create(repository_id), gates={"before": True})
    door.wait(repository_id, step_id)
    path = f"/repositories/{repository_id}/steps/{step_id}"
    assert door.post(f"{path}/cancel", {}).status_code == 200
    assert [name for _, name, _ in followed(door, f"{path}/log/stream")] == ["end"]


def test_a_follower_waits_without_end_and_may_leave(door: Door, repository_id: str) -> None:
    step_id = door.submit(repository_id, door.run_create(repository_id), executor="fake-timeout")
    path = f"/repositories/{repository_id}/steps/{step_id}"
    seen: list[str] = []
    reading = threading.Thread(target=lambda: seen.extend(name for _, name, _ in followed(door, f"{path}/log/stream")))
    reading.start()
    door.post(f"{path}/cancel", {})
    reading.join(GIVES_UP_S)
    assert seen[-1] == "end"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/steps/step_01j00000000000000000000000/log/stream", {}, 404),
        ("/steps/nothing/log/stream", {}, 400),
        ("/steps/{step}/log/stream?stream=both", {}, 400),
        ("/steps/{step}/log/stream", {"Last-Event-ID": "7"}, 400),
        ("/nothing/log/stream", {}, 404),
    ],
)
def test_what_cannot_be_followed_is_refused(
    door: Door, repository_id: str, done: str, path: str, headers: dict[str, str], status: int
) -> None:
    step_id = done.split("/")[4]
    url = f"{API}/repositories/{repository_id}{path.format(step=step_id)}"
    assert door.http.get(url, headers=headers).status_code == status
