"""The daemon's HTTP client against a daemon of another version, over a real socket."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from local_daemon.cli import daemon, gc
from local_daemon.client import http
from local_daemon.client.errors import DaemonUnreachable
from local_daemon.config import home as homes
from local_daemon.processes import process_table
from local_daemon.protocol import errors, faults, garbage

LATER = {"state": "of a later version"}


@contextmanager
def answering(path: Path, document: Any, *, status: str = "200 OK") -> Iterator[http.DaemonClient]:
    """A client of a daemon that answers one request, with this."""
    with saying(path, json.dumps(document).encode(), status=status) as client:
        yield client


@contextmanager
def saying(path: Path, content: bytes, *, status: str = "200 OK") -> Iterator[http.DaemonClient]:
    """As `answering`, with these bytes."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        listening.settimeout(30)

        def serve() -> None:
            connected, _ = listening.accept()
            with connected:
                connected.recv(65536)
                connected.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield http.DaemonClient(socket_path=str(path), token="t", timeout_s=30)
        finally:
            thread.join()


def collected(client: http.DaemonClient) -> garbage.GarbageView:
    return client.call("garbage.collect", garbage.GarbageView)


def test_an_answer_of_another_version_is_told_as_one(tmp_path: Path) -> None:
    with (
        answering(tmp_path / "s", {"worktrees_kept": "what this version has otherwise"}) as client,
        pytest.raises(errors.ProtocolMismatch, match="different versions. Restart the daemon"),
    ):
        collected(client)


def test_a_piece_of_a_log_that_another_version_tells_is_told_as_one(tmp_path: Path) -> None:
    place = {"repository_id": "repo_1", "step_id": "step_1"}
    with (
        saying(tmp_path / "s", f"data: {json.dumps(LATER)}\n\nevent: end\n".encode()) as client,
        pytest.raises(errors.ProtocolMismatch),
    ):
        list(client.log_follow(place))


@pytest.mark.parametrize("line", [{"records": [LATER]}, LATER])
def test_events_of_another_version_are_told_as_that(tmp_path: Path, line: Any) -> None:
    with (
        saying(tmp_path / "s", json.dumps(line).encode() + b"\n") as client,
        pytest.raises(errors.ProtocolMismatch),
    ):
        list(client.events_follow("repo_1", after_seq=0))


def test_a_daemon_that_dies_within_a_line_is_told_as_one_that_stopped(tmp_path: Path) -> None:
    with saying(tmp_path / "s", b'{"records": [') as client, pytest.raises(DaemonUnreachable):
        list(client.events_follow("repo_1", after_seq=0))
    place = {"repository_id": "repo_1", "step_id": "step_1"}
    with saying(tmp_path / "l", b'data: {"stream": "std') as client, pytest.raises(DaemonUnreachable):
        list(client.log_follow(place))


def test_a_daemon_of_another_version_is_told_as_one_that_runs(tmp_path: Path) -> None:
    home = homes.Home(root=tmp_path)
    home.token.write_text("t")
    # Its process is one that certainly runs: ours, which is only looked at.
    named = {"pid": os.getpid(), "process_start": process_table.started_at(os.getpid()), "port": None}
    home.address.write_text(json.dumps({**named, "socket": str(tmp_path / "s")}))
    with answering(tmp_path / "s", LATER):
        done = CliRunner().invoke(daemon.daemon, ["status", "--json"], obj=home, standalone_mode=False)
    assert (done.return_value, json.loads(done.stdout)) == (42, {"state": "other_version", "pid": os.getpid()})


@pytest.mark.parametrize("said", [faults.UNKNOWN_FIELD, faults.UNKNOWN_FIELD_BEFORE])
def test_a_field_that_an_older_daemon_does_not_know_is_told_as_another_versions(tmp_path: Path, said: str) -> None:
    wrong = errors.InvalidRequest("body: not valid", errors=[{"field": "provenance", "problem": said}])
    with (
        answering(tmp_path / "s", wrong.problem(), status="400 Bad Request") as client,
        pytest.raises(errors.ProtocolMismatch, match="different versions. Restart the daemon .* nothing"),
    ):
        collected(client)


@pytest.mark.parametrize("said", [None, "odd", [{"problem": "must be text"}, "odd"]], ids=str)
def test_any_other_refusal_of_a_request_stays_one(tmp_path: Path, said: object) -> None:
    wrong = {**errors.InvalidRequest("body: not valid").problem(), "attributes": {"errors": said}}
    with (
        answering(tmp_path / "s", wrong, status="400 Bad Request") as client,
        pytest.raises(errors.InvalidRequest, match="body: not valid"),
    ):
        collected(client)


def test_a_worktree_that_an_older_daemon_keeps_is_named_by_its_attempt(tmp_path: Path) -> None:
    kept = {"attempt_id": "att_1", "reason": "it holds something"}
    with answering(tmp_path / "s", {"dry_run": False, "worktrees_kept": [kept]}) as client:
        assert "  stays: worktrees/att_1: it holds something" in gc.lines(collected(client))


def test_a_worktree_that_no_attempt_was_given_is_told_to_an_older_command_too() -> None:
    assert garbage.WorktreeKept(name="moved", reason="r").model_dump(mode="json")["attempt_id"] == ""
