"""`ropeway mcp`: the daemon's tools for an MCP client that starts a program and talks to it over standard input.

A pipe to the daemon's own `/mcp`, one line a message; several may be under way at once, as a wait takes its time.
Knows nothing of MCP but how a message that cannot be delivered is answered, and which revision of it was agreed upon:
over HTTP every message says so.
Tests: tests/integration/daemon/test_mcp.py.
"""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click

from local_daemon.cli import options
from local_daemon.client import http
from local_daemon.client.errors import DaemonUnreachable
from local_daemon.config import home as homes
from local_daemon.identity import places
from local_daemon.protocol import errors, limits

_AT_ONCE = 16
_INTERNAL = -32603
_AGREED = b"protocolVersion"


@click.command()
@click.pass_obj
def mcp(home: homes.Home) -> None:
    """Serve the daemon's tools over MCP on standard input and output.

    For MCP clients on this machine: claude mcp add ropeway -- ropeway mcp"""
    writing = threading.Lock()
    revision: str | None = None
    with (
        http.connect_or_start(home, options.daemon_start) as client,
        ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="message") as workers,
    ):

        def answer(line: bytes) -> None:
            nonlocal revision
            said = _delivered(client, home, line, revision)
            # Before the client reads it, and so before it says anything more.
            revision = revision or _agreed(said)
            if said:
                with writing:
                    sys.stdout.buffer.write(said.rstrip(b"\n") + b"\n")
                    sys.stdout.buffer.flush()

        while line := sys.stdin.buffer.readline(limits.BODY_BYTES + 1):
            if line.strip():
                workers.submit(answer, line)


def _delivered(client: http.DaemonClient, home: homes.Home, line: bytes, revision: str | None) -> bytes:
    """The daemon's answer. Where it is gone, it is started anew, and the message refused: perhaps it was carried
    out."""
    try:
        return client.message(line, revision=revision)
    except DaemonUnreachable:
        try:
            with http.connect_or_start(home, options.daemon_start):
                return _refusal(
                    line, "The daemon was started anew; look what became of this call before you ask again."
                )
        except (DaemonUnreachable, homes.HomeUnsafe, homes.HomeUnusable, places.HomeCopied) as error:
            return _refusal(line, errors.said(error))
    except errors.RopewayError as error:
        return _refusal(line, error.detail)


def _agreed(said: bytes) -> str | None:
    """The revision that the answer to `initialize` names; None of any other answer."""
    if _AGREED not in said:
        return None
    result = json.loads(said).get("result", {})
    agreed = result.get(_AGREED.decode()) if isinstance(result, dict) else None
    return agreed if isinstance(agreed, str) else None


def _refusal(line: bytes, detail: str) -> bytes:
    try:
        message: Any = json.loads(line)
    except ValueError:
        message = None
    number = message.get("id") if isinstance(message, dict) else None
    if number is None:
        return b""
    return json.dumps({"jsonrpc": "2.0", "id": number, "error": {"code": _INTERNAL, "message": detail}}).encode()
