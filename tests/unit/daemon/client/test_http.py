"""The daemon's HTTP client against a daemon of another version, over a real socket."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local_daemon.cli import gc
from local_daemon.client import http
from local_daemon.protocol import errors, garbage


@contextmanager
def answering(path: Path, document: Any) -> Iterator[http.DaemonClient]:
    """A client of a daemon that answers one request, with this."""
    content = json.dumps(document).encode()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            connected, _ = listening.accept()
            with connected:
                connected.recv(65536)
                connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)

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


def test_a_worktree_that_an_older_daemon_keeps_is_named_by_its_attempt(tmp_path: Path) -> None:
    kept = {"attempt_id": "att_1", "reason": "it holds something"}
    with answering(tmp_path / "s", {"dry_run": False, "worktrees_kept": [kept]}) as client:
        assert "  stays: worktrees/att_1: it holds something" in gc.lines(collected(client))


def test_a_worktree_that_no_attempt_was_given_is_told_to_an_older_command_too() -> None:
    assert garbage.WorktreeKept(name="moved", reason="r").model_dump(mode="json")["attempt_id"] == ""
