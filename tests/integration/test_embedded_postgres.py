"""The embedded PostgreSQL server, run for real: shared, private, back after a crash, with the two roles."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from cloud.config import embedded_postgres
from cloud.config.embedded_postgres import EmbeddedPostgres


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server of our own, so that ending it disturbs no other test."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), durable=False)
    yield server
    server.stop()


def one(url: str, query: str) -> object:
    """The first column of the first row."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the module's command as a process of its own."""
    words = [sys.executable, "-m", embedded_postgres.__name__, *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


def test_the_application_role_owns_nothing_and_inherits_nothing(postgres: EmbeddedPostgres) -> None:
    urls = postgres.ensure_database("roles")
    assert one(urls.owner, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'roles'") == "ropeway_owner"
    assert (
        one(urls.app, "SELECT rolsuper OR rolbypassrls OR rolinherit FROM pg_roles WHERE rolname = current_user")
        is False
    )
    assert one(urls.app, "SELECT pg_has_role('ropeway_operator', 'USAGE')") is False
    assert one(urls.app, "SELECT pg_has_role('ropeway_operator', 'SET')") is True


def test_the_owner_may_make_tables_and_test_databases(postgres: EmbeddedPostgres) -> None:
    urls = postgres.ensure_database("owned")
    with psycopg.connect(urls.owner, autocommit=True) as connection:
        connection.execute("CREATE TABLE lines (id int)")
        connection.execute("CREATE DATABASE owned_test")
        connection.execute("DROP DATABASE owned_test")


def test_ensuring_a_database_twice_keeps_its_rows(postgres: EmbeddedPostgres) -> None:
    urls = postgres.ensure_database("kept")
    with psycopg.connect(urls.owner, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS id")
    assert one(postgres.ensure_database("kept").owner, "SELECT count(*) FROM kept") == 1


def test_nobody_but_its_user_reaches_the_socket_and_no_port_is_open(postgres: EmbeddedPostgres) -> None:
    server = postgres.ensure_running()
    assert stat.S_IMODE(server.host.stat().st_mode) == 0o700
    assert len(os.fsencode(server.host / ".s.PGSQL.5432")) <= 107
    assert one(server.url(role=server.superuser, database="postgres"), "SHOW listen_addresses") == ""


def test_a_killed_server_comes_back_with_what_was_committed(postgres: EmbeddedPostgres) -> None:
    urls = postgres.ensure_database("crash")
    with psycopg.connect(urls.owner, autocommit=True) as connection:
        connection.execute("CREATE TABLE crash AS SELECT 1 AS id")
    postmaster = int((postgres.data_dir / "cluster" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(postmaster, signal.SIGKILL)
    postgres.ensure_running()
    assert one(urls.app, "SELECT count(*) FROM pg_tables WHERE tablename = 'crash'") == 1


def test_many_processes_that_start_it_at_once_share_one_server(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        started = list(pool.map(lambda _: command("start", "--not-durable", "--data", str(tmp_path)), range(4)))
    assert {run.returncode for run in started} == {0}, started
    assert len({run.stdout for run in started}) == 1
    assert command("status", "--data", str(tmp_path)).returncode == 0
    assert command("stop", "--data", str(tmp_path)).returncode == 0
    assert command("status", "--data", str(tmp_path)).returncode == 3


def test_the_last_borrower_stops_the_server(tmp_path: Path) -> None:
    first, second = EmbeddedPostgres(tmp_path, durable=False), EmbeddedPostgres(tmp_path, durable=False)
    with first.borrowed():
        with second.borrowed():
            pass
        assert first.is_running()
    assert not first.is_running()


def test_a_socket_directory_laid_by_somebody_else_is_refused(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path, durable=False)
    postgres.server.host.mkdir(mode=0o755)
    try:
        with pytest.raises(embedded_postgres.EmbeddedPostgresError, match="somebody else"):
            postgres.ensure_running()
    finally:
        postgres.server.host.rmdir()


def test_stopping_what_never_ran_changes_nothing(tmp_path: Path) -> None:
    EmbeddedPostgres(tmp_path / "never").stop()
    assert not (tmp_path / "never").exists()
