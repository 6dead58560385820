"""Which files name or lock dependencies, and which change a database's schema, told by their names alone.

Pure, and generous: a file that only looks like one costs a glance, one that is missed costs more. Called by `rules`.
Tests: tests/unit/daemon/policies/test_kinds.py.
"""

import itertools
import re
from collections.abc import Iterable

_DEPENDENCY_NAMES = frozenset({
    "go.mod", "go.sum", "go.work", "go.work.sum",
    "package.json", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb",
    "deno.json", "deno.lock", ".npmrc", ".yarnrc.yml",
    "cargo.toml", "cargo.lock",
    "pyproject.toml", "setup.py", "setup.cfg", "poetry.lock", "uv.lock", "pdm.lock", "pipfile", "pipfile.lock",
    "environment.yml", "environment.yaml", "conda-lock.yml",
    "gemfile", "gemfile.lock", "composer.json", "composer.lock",
    "pom.xml", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts", "gradle.lockfile",
    "libs.versions.toml", "build.sbt", "mix.exs", "mix.lock", "rebar.config", "rebar.lock",
    "pubspec.yaml", "pubspec.lock", "package.swift", "package.resolved", "podfile", "podfile.lock",
    "packages.config", "packages.lock.json", "directory.packages.props", "paket.dependencies", "paket.lock",
    "conanfile.txt", "conanfile.py", "vcpkg.json", "flake.nix", "flake.lock", "stack.yaml", "cabal.project",
    "module.bazel", "module.bazel.lock", ".gitmodules", ".terraform.lock.hcl",
})  # fmt: skip
_DEPENDENCY_SHAPE = re.compile(r"(requirements|constraints)[\w.-]*\.(txt|in)|.+\.(csproj|fsproj|vbproj|gemspec|cabal)")
_MIGRATION_FOLDERS = frozenset({"migrations", "migration", "migrate"})
_MIGRATION_SHAPE = re.compile(r"[vu]\d[\d._]*__.+\.(sql|java|kt)|r__.+\.sql")


def dependencies_named(paths: Iterable[str]) -> tuple[str, ...]:
    """Those of the paths that name or lock what the code depends on."""
    return tuple(path for path in paths if _is_dependency(path.rsplit("/", 1)[-1].lower()))


def migrations_named(paths: Iterable[str]) -> tuple[str, ...]:
    """Those of the paths that change a database's schema."""
    return tuple(path for path in paths if _is_migration(path.lower().split("/")))


def _is_dependency(name: str) -> bool:
    return name in _DEPENDENCY_NAMES or _DEPENDENCY_SHAPE.fullmatch(name) is not None


def _is_migration(parts: list[str]) -> bool:
    folders = parts[:-1]
    if not _MIGRATION_FOLDERS.isdisjoint(folders):
        return True
    is_alembic = any(pair == ("alembic", "versions") for pair in itertools.pairwise(folders))
    is_changelog = parts[-1].startswith("changelog") and "db" in folders
    is_flyway = _MIGRATION_SHAPE.fullmatch(parts[-1]) is not None
    return is_alembic or is_changelog or is_flyway
