"""A call: planner, cloud, relay, connector, daemon and back, with token, tenant and two durable audit rows.

The floor of an `/api/v2` call is the same four processes that only pass JSON on (`floor/`); that of an MCP call is the
SDK's bare server under daphne, which calls no machine at all. By turns, round for round, from a process of its own.
Called by `benchmarks/__main__.py`.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import callers, steps
from benchmarks.callers import Target
from benchmarks.figures import Figure, Report, percentile
from benchmarks.http_client import Address, Connection
from benchmarks.screen import Screen
from deploy.demo import __main__ as demo
from deploy.stack.local import ROOT, LocalStack, Tenant, free_port
from deploy.stack.processes import Process

GROUP = "A call: cloud, relay, connector, daemon and back"
ROUNDS = 4
SECONDS = 1.5
CALLERS = (1, 8)
_READY_S = 20.0
_RELAY_FLOOR = "the same four processes passing JSON on"
_MCP_FLOOR = "the SDK's server alone, without a machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A call that is measured, and the floor it stands beside."""

    name: str
    ours: Target
    floor: Target
    floor_name: str


@dataclass(slots=True, kw_only=True)
class _Samples:
    milliseconds: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)


def measure(root: Path, report: Report, screen: Screen) -> None:
    """Everything about calls, with the state of all processes below `root`."""
    repository = steps.repository_make(root / "repository")
    stack = LocalStack(root)
    try:
        with screen.doing("calls: start cloud, daemon, connector, and the bare relay"):
            tenant = start(stack, repository)
        with bare_relay(stack) as port, bare_mcp(stack) as mcp_port:
            kinds = asyncio.run(_kinds(stack, tenant, port, mcp_port))
            _measure(kinds, report, screen)
    finally:
        stack.stop()


def start(stack: LocalStack, repository: Path) -> Tenant:
    """Start what a call passes through, and share the repository. The worker has no part in it."""
    stack.prepare_database()
    tenant = stack.bootstrap(organization="bench", project="bench", email="owner@bench.example")
    stack.start_cloud()
    stack.start_daemon()
    added = stack.ropeway("repository", "add", str(repository))
    stack.enroll(stack.cloudctl("enroll-code", "create", "--project", tenant.project_id)["code"])
    stack.share(added["repository_id"])
    stack.start_connector()
    stack.connector.wait_until(lambda: demo.is_online(stack, tenant), timeout_s=_READY_S)
    return tenant


@contextmanager
def bare_relay(stack: LocalStack) -> Iterator[int]:
    """The bare chain, up and connected; the port of its front."""
    port = free_port()
    socket = stack.daemon_home.parent / "bare.sock"
    daemon = _process(stack, "bare-daemon", ["benchmarks.floor.daemon", str(socket)])
    relay = _daphne(stack, "bare-relay", port, "benchmarks.floor.relay:application")
    connector = _process(
        stack, "bare-connector", ["benchmarks.floor.connector", f"ws://127.0.0.1:{port}/c", str(socket)]
    )
    try:
        daemon.start()
        daemon.wait_until(socket.exists, timeout_s=_READY_S)
        relay.start()
        relay.wait_until(lambda: _answers(port, expects=503), timeout_s=_READY_S)
        connector.start()
        connector.wait_until(lambda: _answers(port, expects=200), timeout_s=_READY_S)
        yield port
    finally:
        for process in (connector, relay, daemon):
            process.stop()


@contextmanager
def bare_mcp(stack: LocalStack) -> Iterator[int]:
    """The SDK's own server under daphne; its port."""
    port = free_port()
    server = _daphne(stack, "bare-mcp", port, "benchmarks.floor.mcp_server:application")
    try:
        server.start()
        server.wait_until(lambda: _answers(port, expects=None), timeout_s=_READY_S)
        yield port
    finally:
        server.stop()


def _process(stack: LocalStack, name: str, argv: list[str]) -> Process:
    return Process(
        name=name, argv=[sys.executable, "-m", *argv], env=stack.env, cwd=ROOT, log=stack.root / "logs" / f"{name}.log"
    )


def _daphne(stack: LocalStack, name: str, port: int, application: str) -> Process:
    quiet = ["-v", "0", "--no-server-name"]
    return _process(stack, name, ["daphne", "-b", "127.0.0.1", "-p", str(port), *quiet, application])


def _answers(port: int, *, expects: int | None) -> bool:
    async def ask() -> int:
        async with Connection(Address(port=port)) as connection:
            return (await connection.ask("GET", "/"))[0]

    try:
        status = asyncio.run(ask())
    except OSError:
        return False
    return expects is None or status == expects


async def _kinds(stack: LocalStack, tenant: Tenant, port: int, mcp_port: int) -> list[Kind]:
    base = f"/api/v2/projects/{tenant.project_id}/runs"
    bearer = {"Authorization": f"Bearer {tenant.token}"}
    create = json.dumps({"objective": "Measure a call."})
    async with Connection(Address(port=stack.port), bearer) as connection:
        status, content = await connection.ask("POST", base, create.encode())
    if status != 201:
        raise callers.CallFailed(f"No run could be made: {content[:500]!r}")
    run_id = json.loads(content)["run"]["run_id"]
    tool = {"name": "runs_get", "arguments": {"project_id": tenant.project_id, "run_id": run_id}}
    call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": tool})
    spoken = {"Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": "2025-11-25"}
    mcp_ours = Target(port=stack.port, path="/api/cloud/v1/mcp", method="POST", body=call, headers={**bearer, **spoken})
    return [
        Kind(
            name="GET runs.get", floor_name=_RELAY_FLOOR, floor=Target(port=port, path=base),
            ours=Target(port=stack.port, path=f"{base}/{run_id}", headers=bearer),
        ),
        Kind(
            name="POST runs.create", floor_name=_RELAY_FLOOR,
            floor=Target(port=port, path=base, method="POST", body=create),
            ours=Target(
                port=stack.port, path=base, method="POST", body=create, headers=bearer, has_key=True, expects=201
            ),
        ),
        Kind(
            name="MCP runs_get", floor_name=_MCP_FLOOR, ours=mcp_ours,
            floor=Target(port=mcp_port, path="/", method="POST", body=call, headers=spoken),
        ),
    ]  # fmt: skip


def _measure(kinds: list[Kind], report: Report, screen: Screen) -> None:
    for kind in kinds:
        for count in CALLERS:
            found = {"ours": _Samples(), "floor": _Samples()}
            targets = {"floor": kind.floor, "ours": kind.ours}
            with screen.doing(f"calls: {kind.name}, {count} at once, {ROUNDS} rounds by turns with its floor"):
                for target in targets.values():
                    callers.measure(target, callers=count, seconds=0.3)
                for _ in range(ROUNDS):
                    for side, target in targets.items():
                        milliseconds, rate = callers.measure(target, callers=count, seconds=SECONDS)
                        found[side].milliseconds += milliseconds
                        found[side].rates.append(rate)
            _report(kind, count, found, report)


def _report(kind: Kind, count: int, found: dict[str, _Samples], report: Report) -> None:
    name = f"{kind.name}, {count} at once"
    ours, floor = found["ours"], found["floor"]
    for side, samples in found.items():
        report.keep(f"{name} ms, {side}", samples.milliseconds)
        report.keep(f"{name} /s, {side}", samples.rates)
    for share, label in ((0.5, "p50"), (0.99, "p99")):
        report.figures.append(
            Figure(
                group=GROUP,
                name=f"{name}: {label}",
                unit="ms",
                value=percentile(ours.milliseconds, share),
                floor=percentile(floor.milliseconds, share),
                floor_name=kind.floor_name,
                samples=len(ours.milliseconds),
            )
        )
    report.figures.append(
        Figure(
            group=GROUP,
            name=f"{name}: calls",
            unit="/s",
            value=sum(ours.rates) / len(ours.rates),
            floor=sum(floor.rates) / len(floor.rates),
            floor_name=kind.floor_name,
            is_rate=True,
            samples=len(ours.rates),
        )
    )
