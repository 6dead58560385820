"""A proxy that names clients and is not believed: said daily, and found by the doctor."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloud.config import client_address, mounts
from cloud.health import diagnosis, proxies
from cloud.health.findings import Finding, Level
from cloud.health.models import UnheardProxy
from cloud.tenancy import scope, threads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "_said", proxies._Said())


async def ask(peer: str | None, *, forwarded: bool = True) -> None:
    async def serve(_scope: Any, _receive: Any, _send: Any) -> None:
        """Answers nothing."""

    headers = [(b"host", b"testserver"), *([(b"x-forwarded-for", b"203.0.113.5")] if forwarded else [])]
    client = None if peer is None else (peer, 4711)
    await mounts.Mounts(serve)({"type": "http", "path": "/admin/", "headers": headers, "client": client}, None, None)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [vars(row)["peer"] for row in caplog.records if vars(row).get("event") == "proxy.unheard"]


def found() -> Finding:
    threads.close_all()
    return {finding.name: finding for finding in diagnosis.diagnose()}["proxies"]


async def test_it_is_said_once_a_day(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await ask("10.0.0.7")
    assert told(caplog) == ["10.0.0.7"]


async def test_it_is_said_and_kept_again_the_next_day(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with caplog.at_level(logging.WARNING):
        await ask("10.0.0.7")
        monkeypatch.setattr(proxies, "SAID_EVERY_S", 0.0)
        await ask("10.0.0.7")
    assert told(caplog) == ["10.0.0.7", "10.0.0.7"]


async def test_a_stranger_who_writes_the_header_does_not_hide_the_proxy(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for peer in ("8.8.8.8", "8.8.4.4", "127.0.0.1"):
            await ask(peer)
    assert told(caplog) == ["8.8.8.8", "127.0.0.1"]


@pytest.mark.parametrize("trusted", ["10.0.0.0/8", "192.0.2.0/24"])
async def test_where_somebody_is_believed_or_nobody_is_named_nothing_is_said(
    settings: Any, caplog: pytest.LogCaptureFixture, trusted: str
) -> None:
    with caplog.at_level(logging.WARNING):
        await ask("10.0.0.7", forwarded=False)
        settings.TRUSTED_PROXIES = client_address.networks_parse(trusted)
        await ask("10.0.0.7")
    assert told(caplog) == []


def test_the_doctor_names_the_proxy_and_the_setting() -> None:
    assert found().level is Level.OK
    proxies.forwarded_unheard("8.8.8.8")
    assert found().level is Level.OK
    proxies.forwarded_unheard(None)
    finding = found()
    assert (finding.level, "unix" in finding.detail) == (Level.WARN, True)
    assert "ROPEWAY_TRUSTED_PROXIES" in finding.next_step


def test_what_was_seen_long_ago_is_not_told(settings: Any) -> None:
    with scope.operator():
        UnheardProxy.objects.create(at=datetime.now(UTC) - proxies.KEPT - timedelta(minutes=1), peer="10.0.0.7")
    assert found().level is Level.OK
    settings.TRUSTED_PROXIES = client_address.networks_parse("10.0.0.0/8, unix")
    assert found().detail == "X-Forwarded-For is believed of 10.0.0.0/8, unix"
