"""What the tree may look like: names that say a noun, empty packages, files of one screenful of thought."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUCKETS = {"utils", "util", "helpers", "helper", "common", "core", "base", "misc", "manager", "managers"}
# Django looks for a database backend's module under this name.
NAMED_BY_OTHERS = {"cloud/tenancy/backend/base.py"}
LONGEST_FILE_LINES = 500


def tracked(pattern: str) -> list[Path]:
    """The files of the project, relative to its root."""
    listed = subprocess.run(["git", "ls-files", "-z", pattern], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def test_no_module_or_folder_is_a_bucket() -> None:
    buckets = [
        str(path)
        for path in tracked("*.py")
        if str(path) not in NAMED_BY_OTHERS and BUCKETS & {path.stem, *path.parent.parts}
    ]
    assert not buckets, f"Name the noun these are about (STYLE in CONTRIBUTING.md): {buckets}"


def test_every_package_file_is_empty() -> None:
    written = [str(path) for path in tracked("*__init__.py") if (ROOT / path).stat().st_size]
    assert not written, f"Importers name the module they mean, so these hold nothing: {written}"


def test_no_file_outgrows_one_noun() -> None:
    lines = {
        str(path): (ROOT / path).read_text().count("\n") for path in tracked("*.py") if "migrations" not in path.parts
    }
    long = {path: count for path, count in lines.items() if count > LONGEST_FILE_LINES}
    assert not long, f"Is each of these still one noun? {long}"


@pytest.mark.parametrize("package", ["cloud", "relay", "connector_agent", "local_daemon"])
def test_every_folder_with_code_is_a_package(package: str) -> None:
    folders = {path.parent for path in tracked(f"{package}/*.py")}
    missing = [str(folder) for folder in sorted(folders) if not (ROOT / folder / "__init__.py").exists()]
    assert not missing, f"Import contracts overlook folders without __init__.py: {missing}"
