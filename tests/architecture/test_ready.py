"""What a daemon does before it is ready: nothing that only calls and steps need, and nothing beside the record."""

import importlib.util
import json
import subprocess
import sys
from typing import Any

import pytest

from local_daemon import bootstrap

STARTED = """
import json, os, signal, sys

seen = {"started": [], "metadata": []}

def heard(event, arguments):
    if event in ("subprocess.Popen", "os.posix_spawn", "os.fork", "os.exec"):
        seen["started"].append(event)
    if event == "open" and str(arguments[0]).endswith("entry_points.txt"):
        seen["metadata"].append(str(arguments[0]))

sys.addaudithook(heard)
from local_daemon.cli import main
from local_daemon.client import starting

def told():
    print(json.dumps({**seen, "modules": sorted(sys.modules)}), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

starting.ready_tell = told
main.main()
"""


@pytest.fixture(scope="module")
def when_ready(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A daemon that ends as soon as it is ready, by its own account."""
    done = subprocess.run(
        [sys.executable, "-c", STARTED, "--home", str(tmp_path_factory.mktemp("ready") / "home"), "daemon"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("name", bootstrap._LATER)
def test_what_is_loaded_later_is_there(name: str) -> None:
    assert importlib.util.find_spec(name) is not None


def test_nothing_is_loaded_before_a_daemon_is_ready_that_only_calls_and_steps_need(when_ready: dict[str, Any]) -> None:
    later = {
        *bootstrap._LATER,
        "local_daemon.scheduler.conclusion",
        "local_daemon.scheduler.execution",
        "local_daemon.worktrees.changes",
        "cryptography.hazmat.primitives.serialization",
        "http.client",
        "httpx",
        "opentelemetry",
        "rich",
        "tarfile",
        "yaml",
    }
    assert not later.intersection(when_ready["modules"])
    assert "local_daemon.scheduler.loop" in when_ready["modules"]


def test_a_daemon_starts_no_program_before_it_is_ready(when_ready: dict[str, Any]) -> None:
    assert when_ready["started"] == []


def test_a_daemon_looks_for_no_plugins_among_what_else_is_installed(when_ready: dict[str, Any]) -> None:
    assert when_ready["metadata"] == []
