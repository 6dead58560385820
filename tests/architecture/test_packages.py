"""The three packages: one version, and an edge that installs from its wheels and runs without Django."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from local_daemon.protocol.version import __version__

ROOT = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip"]
PYPROJECTS = ["pyproject.toml", "local_daemon/pyproject.toml", "connector_agent/pyproject.toml"]
PROTOCOL_MODULES = sorted(
    f"local_daemon.protocol.{path.stem}" for path in (ROOT / "local_daemon/protocol").glob("[!_]*.py")
)


def run(*words: str | Path, cwd: Path) -> str:
    """Run a program that must succeed, without the environment that would let it see this checkout."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("path", PYPROJECTS)
def test_all_packages_have_the_protocols_version(path: str) -> None:
    project = tomllib.loads((ROOT / path).read_text())["project"]
    assert project["version"] == __version__


@pytest.mark.parametrize("path", ["pyproject.toml", "connector_agent/pyproject.toml"])
def test_both_ends_of_a_link_require_the_same_protocol(path: str) -> None:
    project = tomllib.loads((ROOT / path).read_text())["project"]
    assert f"ropeway-daemon=={__version__}" in project["dependencies"]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels of the two edge packages."""
    target = tmp_path_factory.mktemp("wheels")
    words = [*PIP, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", target]
    run(*words, ROOT / "local_daemon", ROOT / "connector_agent", cwd=target)
    return target


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Path:
    """The programs of a fresh environment with the daemon's wheel and what that asks for, no more."""
    home = tmp_path_factory.mktemp("alone")
    # The pip at hand installs there: unpacking another takes longer than all the rest.
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    install(home, next(wheels.glob("ropeway_daemon-*.whl")))
    return home / "bin"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, wheels: Path, alone: Path) -> Path:
    """The programs of such an environment with the connector's wheel too."""
    # Copied, for to install the daemon's requirements again takes longer. Its own programs still lead back there.
    home = shutil.copytree(alone.parent, tmp_path_factory.mktemp("edge") / "home", symlinks=True)
    install(home, next(wheels.glob("ropeway_connector-*.whl")))
    return home / "bin"


def install(home: Path, wheel: Path) -> None:
    """Install a wheel of ours into an environment, and what it requires as it is pinned."""
    pinned = ["--constraint", ROOT / "constraints.txt"]
    run(*PIP, "--python", home / "bin" / "python", "install", "--quiet", *pinned, wheel, cwd=home)


def test_the_edge_brings_no_django(edge: Path) -> None:
    installed = json.loads(run(*PIP, "--python", edge / "python", "list", "--format", "json", cwd=edge))
    names = {package["name"].lower() for package in installed}
    assert {"ropeway-daemon", "ropeway-connector"} <= names
    assert not names & {"django", "channels", "djangorestframework", "psycopg"}


def test_the_edge_runs_from_its_wheels(alone: Path, edge: Path) -> None:
    assert __version__ in run(alone / "ropeway", "--version", cwd=alone)
    assert __version__ in run(edge / "ropeway-connector", "--version", cwd=edge)
    run(edge / "python", "-c", f"import connector_agent.cli, {', '.join(PROTOCOL_MODULES)}", cwd=edge)


def test_the_daemons_wheel_alone_takes_a_task_to_its_end(alone: Path, tmp_path: Path) -> None:
    home, mine = tmp_path / "home", tmp_path / "mine"
    home.mkdir()
    author = ["-c", "user.name=me", "-c", "user.email=me@example.com"]
    mine.mkdir()
    run("git", "init", "-q", cwd=mine)
    run("git", *author, "commit", "-q", "--allow-empty", "-m", "begin", cwd=mine)
    words = ["env", f"HOME={home}", f"ROPEWAY_HOME={tmp_path / 'ropeway'}", "ROPEWAY_ENV=test", alone / "ropeway"]
    try:
        run(*words, "init", "--executor", "fake-success", cwd=mine)
        ended = json.loads(run(*words, "submit", "--wait", "--goal", "Say what to do", "--json", cwd=mine))
    finally:
        run(*words, "daemon", "stop", cwd=mine)
    assert ended["state"] == "completed"


def test_the_daemons_wheel_carries_its_migrations(alone: Path) -> None:
    sources = list((ROOT / "local_daemon/storage/migrations").glob("*.sql"))
    assert sources
    listed = run(
        alone / "python",
        "-c",
        "import pathlib, local_daemon; "
        "print(*[p.name for p in (pathlib.Path(local_daemon.__file__).parent / 'storage/migrations').glob('*.sql')])",
        cwd=alone,
    )
    assert set(listed.split()) == {path.name for path in sources}
