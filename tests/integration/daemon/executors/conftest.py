"""A machine whose CLIs are players, and one attempt of any executor without a machine."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_daemon.config import settings as daemon_settings
from local_daemon.executors import launching, port, registry
from local_daemon.protocol import ids
from tests.integration.daemon.executors import scripted_broker
from tests.integration.daemon.executors.player import Player, player_install
from tests.integration.daemon.executors.subjects import SUBJECTS
from tests.integration.daemon.machine import Machine, machine_start, repository_make

SETTINGS = {
    "profiles": {
        "offline": {"executor": "codex", "sandbox": "read-only", "model": "small"},
        "frugal": {"executor": "claude", "budget_usd": 0.5, "sandbox": "off", "environment": ["TEAM_PROXY"]},
        "impatient": {"executor": "qwen", "stall_timeout_s": 1},
    },
    "agents": {"own-agent": {"command": ["own-agent", "--acp"]}},
    "templates": {"own-tool": {"command": ["own-tool", "--do", "{goal}"], "input": "prompt"}},
}

Attempt = Callable[..., Awaitable[port.ExecutorReport]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """The players by name, and the registry that finds them."""

    players: dict[str, Player]
    registry: registry.Registry

    def __getitem__(self, name: str) -> Player:
        return self.players[name]


@pytest.fixture
def broker_paths() -> dict[str, str]:
    """What the broker's machine calls our folders; nothing of its own unless a test says otherwise."""
    return {}


@pytest.fixture
def cast(tmp_path: Path, request: pytest.FixtureRequest, broker_paths: dict[str, str]) -> Iterator[Cast]:
    """A player for every subject, on a PATH that has nothing else of theirs; a broker where the test is about it."""
    directory = tmp_path / "bin"
    players = {subject.name: player_install(directory, subject.name, talks=subject.talks) for subject in SUBJECTS}
    environ = {"PATH": f"{directory}:/usr/bin:/bin"}
    subject = getattr(request.node, "callspec", None) and request.node.callspec.params.get("subject")
    with ExitStack() as stack:
        settings: dict[str, Any] = dict(SETTINGS)
        if (subject is not None and subject.is_remote) or request.node.path.stem == "test_antigravity":
            url = stack.enter_context(broker_run(directory / "antigravity.d"))
            settings["antigravity"] = {"broker": url, "paths": broker_paths}
        built = registry.registry_build(environ, daemon_settings.Settings.model_validate(settings))
        yield Cast(players=players, registry=built)


@contextmanager
def broker_run(here: Path) -> Iterator[str]:
    """A scripted broker that plays the scene of this directory; its address."""
    (here / "mood").write_text("well")
    process = subprocess.Popen(
        [sys.executable, "-I", str(Path(scripted_broker.__file__)), str(here)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
async def machine(tmp_path: Path, cast: Cast) -> AsyncIterator[Machine]:
    """A scheduler with these executors, on a repository of its own."""
    repository = repository_make(tmp_path / "repository")
    async with machine_start(tmp_path / "home", repository, executors=cast.registry) as running:
        yield running


@pytest.fixture
def attempt(tmp_path: Path, cast: Cast) -> Attempt:
    """Run one attempt to its end and read its report."""
    tree, scratch = tmp_path / "tree", tmp_path / "scratch"
    tree.mkdir()
    scratch.mkdir()

    async def attempt(name: str, **fields: Any) -> port.ExecutorReport:
        given: dict[str, Any] = {
            "attempt_id": ids.new_id(ids.IdPrefix.ATTEMPT),
            "worktree": tree,
            "scratch": scratch,
            "goal": "try it",
            "timeout_s": 30,
            "key": b"of this step",
        }
        task = port.ExecutorTask(**{**given, **fields})
        stdout, stderr = tmp_path / "stdout", tmp_path / "stderr"
        stdout.unlink(missing_ok=True)
        stderr.unlink(missing_ok=True)
        executor = cast.registry.executor_get(name)
        running = launching.attempt_launch(
            executor, task, operator_environment=os.environ, passed_names=(), stdout=stdout, stderr=stderr
        ).release()
        status = await running.wait(120)
        await running.terminate(grace_s=1)
        return executor.interpret(status, stdout=stdout, stderr=stderr, task=task)

    return attempt
