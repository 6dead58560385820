"""Events as they happen, over a real socket: nothing lost, nothing twice, nobody asked again and again."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from local_daemon.protocol import events
from tests.integration.daemon.door import API, Door
from tests.integration.daemon.machine import repository_make

UNKNOWN_REPOSITORY = "repo_01j00000000000000000000000"


@pytest.fixture
def repository_id(door: Door, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A repository with a log of its own for each test."""
    return door.repository_add(repository_make(tmp_path_factory.mktemp("own") / "r"))


@contextmanager
def lines(door: Door, *positions: tuple[str, int]) -> Iterator[Iterator[dict[str, Any]]]:
    """Follow several logs; each item is one batch."""
    query = [
        pair for repository_id, seq in positions for pair in (("repository_id", repository_id), ("after_seq", str(seq)))
    ]
    with door.http.stream("GET", API + "/events/stream", params=query) as answer:
        assert answer.status_code == 200
        yield (json.loads(line) for line in answer.iter_lines() if line)


@contextmanager
def server_sent(
    door: Door, repository_id: str, after_seq: int = 0, **headers: str
) -> Iterator[Iterator[dict[str, Any]]]:
    """Follow one log; each item is one event."""
    url = API + f"/repositories/{repository_id}/events/stream"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with door.http.stream("GET", url, params={"after_seq": after_seq}, headers=named) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _parsed(answer)


def _parsed(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    for line in answer.iter_lines():
        if not line:
            if "data" in event:
                yield event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = json.loads(value) if name == "data" else value


def test_a_follower_gets_what_was_there_and_then_what_happens(door: Door, repository_id: str) -> None:
    first = door.run_create(repository_id)
    with lines(door, (repository_id, 0)) as batches:
        batch = next(batches)
        assert [record["run_id"] for record in batch["records"]] == [first]
        second = door.run_create(repository_id)
        batch = next(batches)
        assert [record["run_id"] for record in batch["records"]] == [second]
        assert batch["repository_id"] == repository_id


def test_what_is_streamed_is_an_unbroken_chain(door: Door, repository_id: str) -> None:
    log_id = door.get(f"/repositories/{repository_id}")["log_id"]
    run_id = door.run_create(repository_id)
    door.wait(repository_id, door.submit(repository_id, run_id))
    head_seq = door.get(f"/repositories/{repository_id}")["head_seq"]
    received: list[events.EventRecord] = []
    with lines(door, (repository_id, 0)) as batches:
        while len(received) < head_seq:
            batch = next(batches)
            assert batch["log_id"] == log_id
            received += [events.EventRecord.model_validate(record) for record in batch["records"]]
    previous = events.GENESIS_HASH
    for seq, record in enumerate(received, start=1):
        assert record.seq == seq
        assert events.is_linked(log_id=log_id, prev_hash=previous, record=record)
        previous = record.hash


def test_following_after_a_position_begins_behind_it(door: Door, repository_id: str) -> None:
    door.run_create(repository_id)
    wanted = door.run_create(repository_id)
    with lines(door, (repository_id, 1)) as batches:
        assert [record["run_id"] for record in next(batches)["records"]] == [wanted]


def test_several_logs_travel_on_one_stream(
    door: Door, repository_id: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other_id = door.repository_add(repository_make(tmp_path_factory.mktemp("other") / "r"))
    with lines(door, (repository_id, 0), (other_id, 0)) as batches:
        door.run_create(repository_id)
        assert next(batches)["repository_id"] == repository_id
        door.run_create(other_id)
        assert next(batches)["repository_id"] == other_id


def test_a_browser_resumes_by_the_last_id_it_saw(door: Door, repository_id: str) -> None:
    door.run_create(repository_id)
    wanted = door.run_create(repository_id)
    with server_sent(door, repository_id, Last_Event_ID="1") as found:
        event = next(found)
    assert (event["id"], event["event"], event["data"]["run_id"]) == ("2", "run.created", wanted)


@pytest.mark.parametrize(
    "query",
    [
        [],
        [("repository_id", "repo_x"), ("after_seq", "0")],
        [("repository_id", UNKNOWN_REPOSITORY)],
        [("repository_id", UNKNOWN_REPOSITORY), ("after_seq", "-1")],
        [("repository_id", UNKNOWN_REPOSITORY), ("after_seq", "9" * 30)],
        [("repository_id", UNKNOWN_REPOSITORY), ("after_seq", "0"), ("more", "1")],
    ],
)
def test_a_malformed_position_is_refused(door: Door, query: list[tuple[str, str]]) -> None:
    answer = door.http.get(API + "/events/stream", params=query)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("last_id", ["x", "-1", "9" * 30])
def test_a_malformed_last_id_is_refused(door: Door, repository_id: str, last_id: str) -> None:
    url = API + f"/repositories/{repository_id}/events/stream"
    answer = door.http.get(url, headers={"Last-Event-ID": last_id})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_a_position_that_the_log_does_not_reach_is_refused(door: Door, repository_id: str) -> None:
    """A log put back, or of another machine, is not the one that was read."""
    door.run_create(repository_id)
    url = API + f"/repositories/{repository_id}/events/stream"
    head = door.get(f"/repositories/{repository_id}")
    for answer in (
        door.http.get(url, headers={"Last-Event-ID": "2"}, params={"after_seq": 0}),
        door.http.get(url, params={"after_seq": 999_999}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
        assert answer.json()["attributes"] == {"head_seq": head["head_seq"], "log_id": head["log_id"]}
    with server_sent(door, repository_id, Last_Event_ID="1") as found:
        door.run_create(repository_id)
        assert next(found)["id"] == "2"


def test_an_unknown_log_is_not_found(door: Door) -> None:
    query = {"repository_id": UNKNOWN_REPOSITORY, "after_seq": 0}
    answer = door.http.get(API + "/events/stream", params=query)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    answer = door.http.get(API + f"/repositories/{UNKNOWN_REPOSITORY}/events/stream")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_token_is_asked_for_here_too(door: Door, repository_id: str) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{door.address['port']}") as stranger:
        assert stranger.get("/api/v1/events/stream").status_code == 401
        assert stranger.get(f"/api/v1/repositories/{repository_id}/events/stream").status_code == 401
