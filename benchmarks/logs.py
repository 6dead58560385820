"""The output of a running attempt on its way to a follower: how many lines a second, and how late each comes.

A real daemon, its executor a program that prints lines with the time in them; the follower reads the server-sent events
of `steps.log`. What lies between is what keeps the log honest: a file that outlives the daemon, the kernel's word that
it has grown, paths and secrets taken out. The floor is the same program on a bare pipe, passed on to a bare socket.
Both by turns. Called by `benchmarks/__main__.py`.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import Figure, Report, percentile
from benchmarks.floor.talker import LINE_BYTES
from benchmarks.http_client import Connection
from benchmarks.screen import Screen
from benchmarks.steps import AS_INSTALLED, Submitter, daemon_door, repository_make
from deploy.stack.local import ROOT, LocalStack

GROUP = "The output of a running attempt, followed"
LINES = 50_000
PACED_LINES = 400
PAUSE_MS = 5.0
ROUNDS = 3
_FLOOR_NAME = "the same program on a pipe, passed on to a socket"
_TALKER = ROOT / "benchmarks" / "floor" / "talker.py"
_SETTINGS = f"""
[templates.talker]
command = [{json.dumps(sys.executable)}, "-I", {json.dumps(str(_TALKER))}, "{{params.pipe}}", "{{params.lines}}",
           "{{params.pause}}"]
params = {{ pipe = ".+", lines = "[0-9]+", pause = "[0-9.]+" }}
"""


@dataclass(slots=True, kw_only=True)
class _Tally:
    """What the rounds brought: lines a second, and by how many milliseconds each line came late."""

    rates: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "floor": []})
    delays: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "floor": []})


class _Heard:
    """Lines as a follower hears them, and when."""

    def __init__(self) -> None:
        self._rest = b""
        self.written_at: list[float] = []
        self.heard_at: list[float] = []

    def take(self, piece: bytes) -> None:
        """The next piece, which is here now."""
        now = time.monotonic()
        *lines, self._rest = (self._rest + piece).split(b"\n")
        self.written_at += [int(line[:20]) / 1e9 for line in lines]
        self.heard_at += [now] * len(lines)

    @property
    def rate(self) -> float:
        """Lines a second from the first word to the last heard."""
        return len(self.heard_at) / (self.heard_at[-1] - self.written_at[0])

    @property
    def delays_ms(self) -> list[float]:
        """How late each came."""
        return [(heard - written) * 1000 for written, heard in zip(self.written_at, self.heard_at, strict=True)]


def measure(root: Path, report: Report, screen: Screen) -> None:
    """As fast as it goes, and at a pace that a person could read."""
    stack = LocalStack(root, env=AS_INSTALLED)
    stack.daemon_home.mkdir(mode=0o700, parents=True)
    (stack.daemon_home / "daemon.toml").write_text(_SETTINGS)
    stack.start_daemon()
    try:
        repository = repository_make(root / "repository")
        repository_id = stack.ropeway("repository", "add", str(repository))["repository_id"]
        tally = asyncio.run(_measure(stack, repository_id, root, screen))
    finally:
        stack.daemon.stop()
    _report(tally, report)


async def _measure(stack: LocalStack, repository_id: str, root: Path, screen: Screen) -> _Tally:
    tally = _Tally()
    for lines, pause_ms in ((LINES, 0.0), (PACED_LINES, PAUSE_MS)):
        pace = f"one every {pause_ms:g} ms" if pause_ms else "as fast as it goes"
        with screen.doing(f"daemon: {ROUNDS} rounds of {lines} lines followed, {pace}"):
            for number in range(ROUNDS):
                pipe = root / f"pipe-{lines}-{number}"
                os.mkfifo(pipe)
                for side, heard in (
                    ("ours", await _ours(stack, repository_id, pipe, lines, pause_ms)),
                    ("floor", await _floor(pipe, lines, pause_ms)),
                ):
                    assert len(heard.heard_at) == lines, (side, len(heard.heard_at))
                    if pause_ms:
                        tally.delays[side] += heard.delays_ms
                    else:
                        tally.rates[side].append(heard.rate)
    return tally


async def _ours(stack: LocalStack, repository_id: str, pipe: Path, lines: int, pause_ms: float) -> _Heard:
    heard = _Heard()
    address, headers = daemon_door(stack)
    async with Connection(address, headers) as connection:
        submitter = Submitter(connection=connection, repository_id=repository_id)
        base = f"/api/v1/repositories/{repository_id}"
        run = await submitter.ask("POST", f"{base}/runs", b'{"objective": "measure"}')
        params = {"pipe": str(pipe), "lines": str(lines), "pause": f"{pause_ms:g}"}
        task = {"goal": "measure", "executor": "talker", "params": params}
        body = json.dumps({"task": task}).encode()
        step = (await submitter.ask("POST", f"{base}/runs/{run['run']['run_id']}/steps", body))["step"]
        assert address.socket is not None
        reader, writer = await asyncio.open_unix_connection(str(address.socket), limit=2**22)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        path = f"{base}/steps/{step['step_id']}/log/stream?length=65536"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
        events = _events(reader)
        await anext(events)  # It follows.
        await asyncio.to_thread(_begin, pipe)
        async for name, content in events:
            if name == "end":
                break
            heard.take(content)
        writer.close()
    return heard


async def _events(reader: asyncio.StreamReader) -> AsyncIterator[tuple[str, bytes]]:
    """The name and the text of each event; one without either when the stream begins."""
    await reader.readuntil(b"\r\n\r\n")
    pending = b""
    yield "", b""
    while size := int(await reader.readline(), 16):
        pending += await reader.readexactly(size)
        await reader.readexactly(2)
        *whole, pending = pending.split(b"\n\n")
        for event in whole:
            fields = dict(line.partition(b": ")[::2] for line in event.split(b"\n"))
            if b"event" in fields:
                yield fields[b"event"].decode(), json.loads(fields[b"data"])["text"].encode()


async def _floor(pipe: Path, lines: int, pause_ms: float) -> _Heard:
    heard = _Heard()
    path = pipe.with_suffix(".sock")
    talker = (sys.executable, "-I", str(_TALKER), str(pipe), str(lines), f"{pause_ms:g}")
    is_over = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while found := await reader.read(2**16):
            heard.take(found)
        writer.close()
        is_over.set()

    async with await asyncio.start_unix_server(listen, str(path)):
        passing = await asyncio.to_thread(
            subprocess.Popen, [sys.executable, "-m", "benchmarks.floor.passing", str(path), *talker], cwd=ROOT
        )
        await asyncio.to_thread(_begin, pipe)
        await is_over.wait()
        await asyncio.to_thread(passing.wait)
    return heard


def _begin(pipe: Path) -> None:
    with open(pipe, "wb"):  # Opens once the program listens; that it is closed is the word to begin.
        pass


def _report(tally: _Tally, report: Report) -> None:
    for side in ("ours", "floor"):
        report.keep(f"log lines/s, {side}", tally.rates[side])
        report.keep(f"log delay ms, {side}", tally.delays[side])
    report.figures.append(
        Figure(
            group=GROUP, name=f"lines of {LINE_BYTES} bytes", unit="/s", value=percentile(tally.rates["ours"], 0.5),
            floor=percentile(tally.rates["floor"], 0.5), floor_name=_FLOOR_NAME, is_rate=True, samples=ROUNDS,
        )
    )  # fmt: skip
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        report.figures.append(
            Figure(
                group=GROUP, name=f"a line's delay {name}", unit="ms", value=percentile(tally.delays["ours"], share),
                floor=percentile(tally.delays["floor"], share), floor_name=_FLOOR_NAME,
                samples=len(tally.delays["ours"]),
            )
        )  # fmt: skip
