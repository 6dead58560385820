import json
from typing import Any

import pytest

from cloud.audit import origin
from cloud.config import client_address, mounts


def application(name: str, served: list[str]) -> Any:
    async def serve(_scope: Any, _receive: Any, _send: Any) -> None:
        served.append(name)

    return serve


def request(path: str, host: str = "localhost:8000") -> dict[str, Any]:
    return {"type": "http", "path": path, "headers": [(b"host", host.encode())]}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who served, with two applications mounted before Django."""
    found: list[str] = []
    tables = {"/api/v2": application("relay", found), "/api/cloud/v1/mcp": application("mcp", found)}
    monkeypatch.setattr(mounts, "HTTP_BEFORE_DJANGO", tables)
    monkeypatch.setattr(mounts, "HTTP_EXCEPT", {"/api/v2/connectors/enroll"})
    monkeypatch.setattr(mounts, "WEBSOCKETS", {"/ws/connectors": application("link", found)})
    return found


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/v2", "relay"),
        ("/api/v2/runs", "relay"),
        ("/api/v2runs", "django"),
        ("/api/v2/connectors/enroll", "django"),
        ("/api/cloud/v1/mcp", "mcp"),
        ("/api/cloud/v1/tokens", "django"),
        ("/admin/", "django"),
    ],
)
async def test_each_path_has_one_application(served: list[str], path: str, name: str) -> None:
    await mounts.Mounts(application("django", served))(request(path), None, None)
    assert served == [name]


@pytest.mark.parametrize("path", ["/api/v2/runs", "/api/cloud/v1/mcp", "/api/v2/connectors/enroll", "/api/nowhere"])
async def test_no_program_is_answered_by_a_name_that_is_not_ours(served: list[str], path: str) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    for host in ("evil.example", ""):
        await mounts.Mounts(application("django", served))(request(path, host), None, send)
    assert served == []
    assert [message["status"] for message in sent[::2]] == [421, 421]
    assert json.loads(sent[1]["body"])["code"] == "forbidden"


async def test_a_page_is_left_to_django_by_any_name(served: list[str]) -> None:
    for path in ("/admin/", "/healthz"):
        await mounts.Mounts(application("django", served))(request(path, "10.0.0.7"), None, None)
    assert served == ["django"] * 2


async def test_a_websocket_is_served_at_its_path_and_refused_elsewhere(served: list[str]) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    mounted = mounts.Mounts(application("django", served))
    await mounted({"type": "websocket", "path": "/ws/connectors"}, receive, send)
    await mounted({"type": "websocket", "path": "/ws/elsewhere"}, receive, send)
    assert served == ["link"]
    assert sent == [{"type": "websocket.close", "code": 4404}]


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_every_application_is_told_who_asks_whoever_is_in_between(
    settings: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    settings.TRUSTED_PROXIES = client_address.networks_parse("10.0.0.0/8")
    told: list[Any] = []

    async def serve(scope: Any, _receive: Any, _send: Any) -> None:
        told.append((scope["client"], origin.client_address()))

    monkeypatch.setattr(mounts, "HTTP_BEFORE_DJANGO", {"/api/v2": serve})
    monkeypatch.setattr(mounts, "WEBSOCKETS", {"/ws/connectors": serve})
    scope = request({"http": "/api/v2", "websocket": "/ws/connectors"}[kind]) | {"type": kind}
    scope["headers"].append((b"x-forwarded-for", b"203.0.113.5"))
    for peer in ("10.0.0.7", "198.51.100.2"):
        await mounts.Mounts(serve)({**scope, "client": (peer, 4711)}, None, None)
    # A link lives longer than what is done over it was asked for, so it says its address itself.
    remembered = ["203.0.113.5", "198.51.100.2"] if kind == "http" else [None, None]
    assert told == [(("203.0.113.5", 4711), remembered[0]), (("198.51.100.2", 4711), remembered[1])]
