"""A small Antigravity broker as a process of its own: real HTTP, and a scene of shell instead of an IDE.

    python scripted_broker.py DIRECTORY

Prints its port. A task runs `scene` of the directory in the workspace that it was asked for; what the scene prints are
the agent's messages, what it complains its errors. `mood` says how the broker itself behaves: `well`, `unbound`,
`deaf` (it takes no cancel), `forgetful` (it forgets every task that it began), `mute` (it answers no POST).
"""

import json
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HERE = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
TASKS: dict[str, "subprocess.Popen[str]"] = {}
CANCELLED: set[str] = set()
CASCADE_ID = "cascade-1"


class Handler(BaseHTTPRequestHandler):
    """The broker's API."""

    def do_GET(self) -> None:
        match self.path.strip("/").split("/"):
            case ["health"]:
                self.answer({"status": "ok"})
            case ["version"]:
                self.answer({"version": "0.1.0-scripted"})
            case ["tasks", task_id] if task_id in TASKS and mood() != "forgetful":
                self.answer({"id": task_id, "cascade_id": CASCADE_ID, **state(task_id)})
            case ["tasks", task_id, "result"] if task_id in TASKS:
                self.answer({"steps": [{"items": items(task_id)}]})
            case _:
                self.answer({"error": "task not found"}, status=404)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        (HERE / "asked").write_text(json.dumps(asked))
        (HERE / "prompt").write_text(asked["prompt"])
        if mood() == "mute":
            self.close_connection = True
            return
        if mood() == "unbound":
            self.answer({"error": "no instance bound for this repo"}, status=400)
            return
        task_id = str(len(TASKS) + 1)
        workspace = asked["workspace_root"].replace("W:\\", "/").replace("\\", "/")
        with (HERE / f"{task_id}.out").open("w") as said, (HERE / f"{task_id}.err").open("w") as complained:
            TASKS[task_id] = subprocess.Popen(
                ["/bin/sh", "-c", f"STARTED={HERE}/started; . {HERE}/scene"],
                cwd=workspace,
                env={"PATH": "/usr/bin:/bin", "BROKER_TASK": f"{os.getpid()}-{task_id}"},
                stdout=said,
                stderr=complained,
                start_new_session=True,
                text=True,
            )
        self.answer({"id": task_id, "cascade_id": CASCADE_ID, "state": "running"})

    def do_DELETE(self) -> None:
        task_id = self.path.rpartition("/")[2]
        if mood() == "deaf":
            self.answer({"error": "method not allowed"}, status=405)
            return
        CANCELLED.add(task_id)
        end(task_id)
        self.answer({})

    def answer(self, document: Any, *, status: int = 200) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        return


def mood() -> str:
    return (HERE / "mood").read_text()


def state(task_id: str) -> dict[str, str]:
    code = TASKS[task_id].poll()
    if code is None:
        return {"state": "running"}
    name = "cancelled" if task_id in CANCELLED else "completed" if code == 0 else "failed"
    return {"state": name, "summary": f"the agent {name}"}


def items(task_id: str) -> list[dict[str, Any]]:
    said = (HERE / f"{task_id}.out").read_text().splitlines()
    complained = (HERE / f"{task_id}.err").read_text().strip()
    found: list[dict[str, Any]] = [{"message": {"text": line}} for line in said]
    return [*found, {"error": {"message": complained}}] if complained else found


def end(task_id: str) -> None:
    """Everything that the scene started, wherever it went."""
    wanted = f"BROKER_TASK={os.getpid()}-{task_id}".encode()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            continue  # It has ended by itself.
    TASKS[task_id].wait()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
