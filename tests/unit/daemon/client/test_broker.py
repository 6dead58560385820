"""The broker's HTTP client against answers that no broker should give, over real sockets."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from local_daemon.client import broker

Talk = Callable[[socket.socket, threading.Event], None]


@contextmanager
def serving(talk: Talk) -> Iterator[str]:
    """A server that reads one request, says something, and hangs up."""
    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connected, _ = listening.accept()
            with connected:
                connected.recv(65536)
                talk(connected, is_over)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            is_over.set()
            thread.join()


def saying(content: bytes, *, head: bytes = b"HTTP/1.1 200 OK\r\n") -> Talk:
    return lambda connected, _: connected.sendall(head + b"Content-Length: %d\r\n\r\n" % len(content) + content)


def dripping(begin: bytes) -> Talk:
    """One byte after the other, each well within a socket's timeout, without end."""

    def talk(connected: socket.socket, is_over: threading.Event) -> None:
        try:
            connected.sendall(begin)
            while not is_over.wait(0.01):
                connected.sendall(b"x")
        except OSError:
            return  # It was hung up on.

    return talk


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


def test_an_answer_is_read_with_its_document() -> None:
    with serving(saying(json.dumps({"state": "running"}).encode())) as url:
        answer = broker.ask(url, "GET", "/tasks/1")
    assert (answer.status, answer.document) == (200, {"state": "running"})


@pytest.mark.parametrize(
    "begin",
    [
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
    ids=["headers", "a body of a length", "a body of no length"],
)
def test_an_answer_that_drips_is_no_answer_once_its_time_is_up(monkeypatch: pytest.MonkeyPatch, begin: bytes) -> None:
    monkeypatch.setattr(broker, "_ANSWER_S", 0.2)
    with serving(dripping(begin)) as url, pytest.raises(TimeoutError) as dripped:
        broker.ask(url, "GET", "/tasks/1")
    assert broker.reason_of(dripped.value) == "no answer in time"


@pytest.mark.parametrize("depth", [65, 900, 20_000])
def test_an_answer_nested_too_deep_is_unfit(depth: int) -> None:
    with serving(saying(nested(depth))) as url, pytest.raises(broker.AnswerUnfit, match="nested deeper than 64"):
        broker.ask(url, "GET", "/tasks/1", bytes_max=2**20)


def test_an_answer_as_deep_as_may_be_is_read() -> None:
    with serving(saying(nested(63))) as url:
        assert broker.ask(url, "GET", "/tasks/1").document


def test_an_answer_that_is_too_long_is_unfit() -> None:
    with serving(saying(b"x" * 2000)) as url, pytest.raises(broker.AnswerUnfit, match="longer than 1000 bytes"):
        broker.ask(url, "GET", "/health", bytes_max=1000)


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff", b"plain words"])
def test_what_is_no_json_object_is_an_answer_without_a_document(content: bytes) -> None:
    with serving(saying(content)) as url:
        assert broker.ask(url, "GET", "/health").document == {}


def test_a_redirect_is_followed_nowhere() -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
    with serving(saying(b"", head=head)) as url:
        assert broker.ask(url, "GET", "/health").status == 302


def test_where_nobody_listens_nothing_was_asked_for() -> None:
    with pytest.raises(broker.Unreached):
        broker.ask("http://127.0.0.1:1", "POST", "/tasks", {})
