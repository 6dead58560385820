"""The serving process itself: daphne on a socket that the test opened, so that connecting needs no waiting."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

import pytest
from django.conf import settings
from django.db import connections

from cloud.config import database_url, wiring

pytestmark = pytest.mark.django_db(transaction=True)


def url_of(alias: str) -> str:
    return database_url.url_from_database(
        {**settings.DATABASES[alias], "NAME": connections["default"].settings_dict["NAME"]}
    )


@contextmanager
def daphne(alias: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A serving process that connects as one of the two roles, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "cloud.config.settings.local",
            "DATABASE_URL": url_of(alias),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "daphne", "--fd", str(listening.fileno()), "cloud.config.asgi:application"],
            env=environment,
            cwd=settings.ROOT,
            pass_fds=[listening.fileno()],
            stderr=subprocess.PIPE,
        )
        port = listening.getsockname()[1]
    try:
        yield process, port
    finally:
        process.kill()
        process.communicate(timeout=60)


def test_it_answers_and_ends_when_told_to(django_db_setup: None) -> None:
    with daphne("default") as (process, port):
        asked = HTTPConnection("127.0.0.1", port, timeout=30)
        asked.request("GET", "/healthz")
        answer = asked.getresponse()
        assert (answer.status, answer.read()) == (200, b'{"status": "ok"}')
        asked.close()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def test_it_refuses_to_serve_as_the_owner(django_db_setup: None) -> None:
    with daphne("owner") as (process, _):
        _, complaint = process.communicate(timeout=30)
    assert process.returncode != 0
    assert b"UnsafeDatabaseRole" in complaint


def test_each_loop_that_serves_starts_what_runs_beside_it(
    django_db_setup: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that stands in memory where an ended one stood."""
    from cloud.config import asgi  # Importing it looks at the database.

    started: list[str] = []
    monkeypatch.setattr(wiring, "start_serving", lambda: started.append("again"))

    async def lived() -> None:
        told = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive() -> Any:
            return next(told)

        async def send(_message: Any) -> None:
            return

        await asgi.application({"type": "lifespan"}, receive, send)

    for _ in range(20):
        asyncio.run(lived())
    assert len(started) == 20
