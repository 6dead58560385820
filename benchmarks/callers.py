"""Callers in a process of their own, so that what calls does not take its time from what is called.

    python -m benchmarks.callers < plan.json > latencies.json

`plan` gives the address, the request and how many callers repeat it for how long, each over a connection that it keeps;
what comes out is each call's milliseconds. Started by `calls.py`.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.http_client import Address, Connection

ROOT = Path(__file__).resolve().parents[1]
_SLACK_S = 60


class CallFailed(Exception):
    """A call was not answered as expected; a figure out of failures would say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One request that can be repeated. `has_key`: each repeat carries an idempotency key of its own."""

    port: int
    path: str
    method: str = "GET"
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    has_key: bool = False
    expects: int = 200


def measure(target: Target, *, callers: int, seconds: float) -> tuple[list[float], float]:
    """Each call's milliseconds, and how many were answered a second, by so many callers at once."""
    plan = {
        "port": target.port, "path": target.path, "method": target.method, "body": target.body,
        "headers": dict(target.headers), "has_key": target.has_key, "expects": target.expects,
        "callers": callers, "seconds": seconds,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.callers"],
        cwd=ROOT, input=json.dumps(plan), capture_output=True, text=True, timeout=seconds + _SLACK_S, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise CallFailed(done.stderr[-2000:])
    answer = json.loads(done.stdout)
    return answer["milliseconds"], answer["per_second"]


async def _call_repeatedly(plan: Mapping[str, Any], until: float, taken: list[float]) -> None:
    body = plan["body"].encode()
    async with Connection(Address(port=plan["port"]), plan["headers"]) as connection:
        while (start := time.perf_counter()) < until:
            key = f"Idempotency-Key: {uuid4()}\r\n" if plan["has_key"] else ""
            status, content = await connection.ask(plan["method"], plan["path"], body, key)
            if status != plan["expects"]:
                raise CallFailed(f"{plan['method']} was answered {status}: {content[:500]!r}")
            taken.append((time.perf_counter() - start) * 1000)


async def _main() -> None:
    plan = json.loads(sys.stdin.read())
    taken: list[float] = []
    start = time.perf_counter()
    await asyncio.gather(*(_call_repeatedly(plan, start + plan["seconds"], taken) for _ in range(plan["callers"])))
    print(json.dumps({"milliseconds": taken, "per_second": len(taken) / (time.perf_counter() - start)}))


if __name__ == "__main__":
    asyncio.run(_main())
