"""A real daemon process with its doors, and a client that can also misbehave."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import httpx

STOPS_WITHIN_S = 60
API = "http://localhost/api/v1"


@dataclass(slots=True, kw_only=True)
class Door:
    """A running daemon, spoken to by HTTP only."""

    home: Path
    process: "subprocess.Popen[str]"
    http: httpx.Client
    ready: dict[str, Any]
    lines: "SimpleQueue[str | None]"

    @property
    def address(self) -> dict[str, Any]:
        """What the daemon says about where it answers."""
        return dict(json.loads((self.home / "daemon.json").read_text()))

    @property
    def token(self) -> str:
        """What requests must show."""
        return (self.home / "token").read_text().strip()

    def get(self, path: str, **query: Any) -> Any:
        """The JSON answer to a GET that must succeed."""
        response = self.http.get(API + path, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """A POST of a JSON body."""
        return self.http.post(API + path, json=body, headers={name.replace("_", "-"): v for name, v in headers.items()})

    def repository_add(self, path: Path) -> str:
        """Make a repository known and return its id."""
        return str(self.post("/repositories", {"path": str(path)}).json()["repository_id"])

    def run_create(self, repository_id: str, **fields: Any) -> str:
        """Open a run and return its id."""
        answer = self.post(f"/repositories/{repository_id}/runs", {"objective": "o", **fields})
        return str(answer.json()["run"]["run_id"])

    def submit(self, repository_id: str, run_id: str, **task: Any) -> str:
        """Queue a step and return its id."""
        body = {"task": {"goal": "g", "executor": "fake-success", **task}}
        answer = self.post(f"/repositories/{repository_id}/runs/{run_id}/steps", body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["step"]["step_id"])

    def wait(self, repository_id: str, step_id: str) -> dict[str, Any]:
        """The step once it has settled."""
        answer = self.get(f"/repositories/{repository_id}/steps/{step_id}/wait", timeout_s=25)
        assert not answer["timed_out"], answer
        return dict(answer["step"])

    def log(self) -> Iterator[dict[str, Any]]:
        """The lines of the log that were not read yet, for as long as the daemon runs."""
        while (line := self.lines.get()) is not None:
            yield json.loads(line)
        self.lines.put(None)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the daemon to end and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(STOPS_WITHIN_S)


@contextmanager
def door_open(home: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Door]:
    """Start a daemon in `home`, wait until it says that it is ready, and stop it afterwards."""
    process = daemon_spawn(home, *arguments, env=env)
    reading: threading.Thread | None = None
    try:
        ready = ready_wait(process)
        # Read all the time: a daemon whose log nobody reads stands still when the pipe is full.
        lines: SimpleQueue[str | None] = SimpleQueue()
        reading = threading.Thread(target=_lines_read, args=(process, lines), daemon=True)
        reading.start()
        address = json.loads((home / "daemon.json").read_text())
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=address["socket"]),
            headers={"Authorization": f"Bearer {(home / 'token').read_text().strip()}"},
            timeout=40,
        ) as http:
            yield Door(home=home, process=process, http=http, ready=ready, lines=lines)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if reading is not None:
            reading.join(STOPS_WITHIN_S)
        assert process.stderr is not None
        process.stderr.close()


def _lines_read(process: "subprocess.Popen[str]", lines: "SimpleQueue[str | None]") -> None:
    assert process.stderr is not None
    for line in process.stderr:
        lines.put(line)
    lines.put(None)


def daemon_spawn(home: Path, *arguments: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
    """Start a daemon without waiting; its log can be read from its standard error."""
    passed = {name: value for name, value in os.environ.items() if not name.startswith("ROPEWAY_")}
    return subprocess.Popen(
        [sys.executable, "-m", "local_daemon.cli", "--home", str(home), "daemon", *arguments],
        env={**passed, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def ready_wait(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Read the log until the daemon says that it is ready; the line that says so."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        document = json.loads(line) if line.startswith("{") else {}
        if document.get("event") == "daemon.ready":
            return dict(document)
    raise AssertionError(f"the daemon ended with {process.wait()}:\n{''.join(seen)}")
