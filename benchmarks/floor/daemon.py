"""The bare daemon: uvicorn with httptools on a Unix socket, answering a run-sized document.

python -m benchmarks.floor.daemon SOCKET
"""

import json
import sys
from typing import Any

import uvicorn

ANSWER = {
    "run_id": "run_00000000000000000000000000", "repository_id": "repo_00000000000000000000000000", "state": "open",
    "objective": "Measure a call.", "name": None, "title": None, "is_closed": False,
    "created_at": "2026-01-01T00:00:00Z",
    "steps": {"queued": 0, "running": 0, "completed": 0, "failed": 0},
}  # fmt: skip


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Parse what was sent, say what is always said."""
    if scope["type"] != "http":
        return
    body = (await receive()).get("body", b"")
    if body:
        json.loads(body)
    content = json.dumps(ANSWER).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


if __name__ == "__main__":
    uvicorn.run(
        application, uds=sys.argv[1], http="httptools", lifespan="off", log_level="warning", access_log=False,
        # The bare connector keeps its connections without looking whether they were closed meanwhile.
        timeout_keep_alive=3600,
    )  # fmt: skip
