"""A model that does as it is told, on loopback, for driving real CLIs without a real model.

It speaks every API of `dialects`, has a script of one line (edit, fail, hang, only talk) that may be changed at any
time, and remembers what it was asked. Used by the opt-in suite, and by hand: `python -m tests.executors.model_server`.
"""

import itertools
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.executors import dialects

MODEL = "scripted-model"
_NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What the model does when it is asked: run `command` once, then say `last_word`."""

    command: str | None = "echo hello-from-the-model > made-by-the-model.txt"
    last_word: str = "The file is there."
    status: int = 200  # anything else: this error, always
    hangs: bool = False  # the answer begins and never ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request for a completion."""

    dialect: str
    path: str
    body: dict[str, Any]

    @property
    def text(self) -> str:
        """All of it, to look for words in."""
        return json.dumps(self.body)


@dataclass(slots=True)
class ModelServer:
    """The running server."""

    url: str
    script: Script = field(default_factory=Script)
    asked: list[Asked] = field(default_factory=list)
    was_asked: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)

    def follow(self, script: Script) -> None:
        """Do this from now on, and forget what was asked before."""
        self.script = script
        self.asked = []
        self.was_asked.clear()


@contextmanager
def serving(port: int = 0) -> Iterator[ModelServer]:
    """A server on loopback until the block ends."""
    listening = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    listening.daemon_threads = True
    model = ModelServer(url=f"http://127.0.0.1:{listening.server_port}")
    listening.model = model  # type: ignore[attr-defined]
    thread = threading.Thread(target=listening.serve_forever, name="model server")
    thread.start()
    try:
        yield model
    finally:
        model.closing.set()
        listening.shutdown()
        listening.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _model(self) -> ModelServer:
        return self.server.model  # type: ignore[attr-defined, no-any-return]

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the tests read `asked`."""

    def do_HEAD(self) -> None:
        self._send(200, b"", "text/plain")

    def do_GET(self) -> None:
        self._json(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}], "models": []})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.partition("?")[0]
        if path.endswith("/count_tokens"):
            self._json(200, {"input_tokens": dialects.INPUT_TOKENS})
            return
        dialect = next((each for each in dialects.DIALECTS if each.path_holds in path), None)
        if dialect is None:
            self._json(404, {"error": {"message": f"no such path: {path}"}})
            return
        body = json.loads(content or b"{}")
        self._model.asked.append(Asked(dialect=dialect.name, path=path, body=body))
        self._answer(dialect, body, path)

    def _answer(self, dialect: dialects.Dialect, body: dict[str, Any], path: str) -> None:
        script = self._model.script
        if script.hangs:
            self._hang()
        elif script.status != 200:
            self._json(script.status, dialect.error(script.status, f"scripted error {script.status}"))
        elif body.get("stream") or "stream" in path:
            self._events(dialect, dialect.events(body, _say(script, dialect, body)))
        else:
            self._json(200, dialect.answer(body, _say(script, dialect, body)))
        self._model.was_asked.set()

    def _hang(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.flush()
        self._model.was_asked.set()
        self._model.closing.wait()
        self.close_connection = True

    def _events(self, dialect: dialects.Dialect, events: list[dialects.Event]) -> None:
        lines = []
        for event in events:
            if dialect.is_named:
                lines.append(f"event: {event['type']}\n")
            lines.append(f"data: {json.dumps(event)}\n\n")
        if dialect.is_terminated:
            lines.append("data: [DONE]\n\n")
        self._send(200, "".join(lines).encode(), "text/event-stream")

    def _json(self, status: int, document: dict[str, Any]) -> None:
        self._send(status, json.dumps(document).encode(), "application/json")

    def _send(self, status: int, content: bytes, media_type: str) -> None:
        self.send_response(status)
        self.send_header("content-type", media_type)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _say(script: Script, dialect: dialects.Dialect, body: dict[str, Any]) -> dialects.Say:
    shell = dialect.shell(body)
    if script.command is None or shell is None or dialect.has_result(body):
        return script.last_word
    return dialects.Call(tool=shell.tool, arguments=shell.arguments(script.command), number=next(_NUMBERS))


def main() -> None:
    """Serve until interrupted: `python -m tests.executors.model_server [PORT]`."""
    with serving(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as model:
        sys.stdout.write(f"{model.url}\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
