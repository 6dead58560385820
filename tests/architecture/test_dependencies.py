"""What the project depends on: exactly pinned, declared where it is imported, fetched from nowhere in particular."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"cloud", "relay", "connector_agent", "local_daemon", "deploy", "benchmarks", "tests"}
REGISTRY = re.compile(r"pypi\.org|pythonhosted\.org|registry\.npmjs|index-url|proxy\.golang|find-links")


def normal(name: str) -> str:
    """A distribution's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(pyproject: str, *extras: str) -> set[str]:
    """Distributions that a package asks for, with some of its extras, following the packages that are ours."""
    project = tomllib.loads((ROOT / pyproject).read_text())["project"]
    wanted = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return {normal(re.split(r"[\[<>=~! ]", line, maxsplit=1)[0]) for line in wanted}


def imported(*folders: str) -> dict[str, set[str]]:
    """Top-level modules that the code imports from outside, each with the files that do."""
    found: dict[str, set[str]] = {}
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import():
                    modules = [alias.name for alias in node.names]
                case ast.ImportFrom(module=str(module)):
                    modules = [module]
                case _:
                    continue
            for module in modules:
                found.setdefault(module.split(".")[0], set()).add(str(path.relative_to(ROOT)))
    return {module: files for module, files in found.items() if module not in OURS | sys.stdlib_module_names}


ROOT_DEPENDENCIES = declared("pyproject.toml")
DAEMON = declared("local_daemon/pyproject.toml")
CONNECTOR = declared("connector_agent/pyproject.toml")
# Imported where it was asked for, by configuration, and nowhere else.
TRACING = declared("local_daemon/pyproject.toml", "tracing") - DAEMON
EVERYTHING = ROOT_DEPENDENCIES | DAEMON | CONNECTOR | declared("pyproject.toml", "dev", "embedded")


@pytest.mark.parametrize(
    ("folders", "available"),
    [
        (("local_daemon",), DAEMON | TRACING),
        (("connector_agent",), CONNECTOR),
        (("cloud", "relay"), ROOT_DEPENDENCIES),
        (("tests", "deploy", "benchmarks"), EVERYTHING),
    ],
    ids=["daemon", "connector", "cloud", "tools"],
)
def test_every_import_is_declared(folders: tuple[str, ...], available: set[str]) -> None:
    providers = metadata.packages_distributions()
    undeclared = {
        module: sorted(files)
        for module, files in imported(*folders).items()
        if not available & {normal(name) for name in providers.get(module, [module])}
    }
    assert not undeclared, f"Add these to the pyproject.toml of the package that imports them: {undeclared}"


@pytest.mark.parametrize(
    ("folder", "asked_for", "named_only"),
    # uvicorn loads httptools by its name.
    [("local_daemon", DAEMON, {"httptools"}), ("connector_agent", CONNECTOR - {"ropeway-daemon"}, set())],
    ids=["daemon", "connector"],
)
def test_the_edge_asks_for_nothing_that_it_does_not_import(
    folder: str, asked_for: set[str], named_only: set[str]
) -> None:
    providers = metadata.packages_distributions()
    used = {normal(name) for module in imported(folder) for name in providers.get(module, [module])}
    assert not asked_for - used - named_only


def test_constraints_are_exact_and_name_no_place() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    loose = [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.!+]+", line)]
    assert lines
    assert not loose, f"Pin by name and version only: {loose}"


def test_everything_declared_is_pinned() -> None:
    pins = {normal(line.split("==")[0]) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    unpinned = EVERYTHING - pins - {"ropeway", "ropeway-daemon", "ropeway-connector"}
    assert not unpinned, f"Add these to constraints.txt: {unpinned}"


def test_no_file_names_a_registry() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name) != Path(__file__)]
    naming = [
        str(path.relative_to(ROOT))
        for path in paths
        if path.is_file() and REGISTRY.search(path.read_text(errors="replace"))
    ]
    assert not naming, f"Where packages come from is the installer's decision: {naming}"
