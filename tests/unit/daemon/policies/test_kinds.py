"""Files that name dependencies or change a schema, told by their names."""

import pytest

from local_daemon.policies import kinds


@pytest.mark.parametrize(
    "path",
    [
        "go.mod", "web/package-lock.json", "Cargo.lock", "requirements-dev.txt", "constraints.txt", "src/App.csproj",
        "Gemfile.lock", "gradle/libs.versions.toml", "uv.lock", "Package.resolved", ".gitmodules",
    ],
)  # fmt: skip
def test_a_file_that_names_or_locks_dependencies_is_known(path: str) -> None:
    assert kinds.dependencies_named([path, "src/main.py"]) == (path,)


@pytest.mark.parametrize("path", ["go.mod.md", "src/requirements.py", "docs/package.json.txt", "cargo/lock"])
def test_a_name_that_only_reminds_of_one_is_not(path: str) -> None:
    assert kinds.dependencies_named([path]) == ()


@pytest.mark.parametrize(
    "path",
    [
        "shop/migrations/0001_initial.py", "db/migrate/20200101_x.rb", "alembic/versions/ab12.py",
        "sql/V2_1__add_users.sql", "sql/R__views.sql", "db/changelog-1.xml", "prisma/migrations/1/migration.sql",
    ],
)  # fmt: skip
def test_a_migration_is_known(path: str) -> None:
    assert kinds.migrations_named([path, "src/versions/a.py"]) == (path,)
