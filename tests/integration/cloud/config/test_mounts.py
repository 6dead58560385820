from typing import Any

import pytest

from cloud.config import mounts


def application(name: str, served: list[str]) -> Any:
    async def serve(_scope: Any, _receive: Any, _send: Any) -> None:
        served.append(name)

    return serve


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
    await mounts.Mounts(application("django", served))({"type": "http", "path": path}, None, None)
    assert served == [name]


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
