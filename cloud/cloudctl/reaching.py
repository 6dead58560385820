"""Whether a cloud is reached at the address that planners and machines use: TLS, HTTP, and websockets through whatever
stands in front.

Called by `doctor`. Tests: tests/journeys/test_cloudctl.py.
"""

import base64
import secrets
import ssl
from collections.abc import Iterator

import httpx2

from cloud.health.findings import Finding, Level
from relay import consumers

_TIMEOUT_S = 10.0
_SWITCHING = 101


def reach(url: str, *, ca_file: str | None) -> Iterator[Finding]:
    """Try it."""
    try:
        verify = ssl.create_default_context(cafile=ca_file) if ca_file else True
        with httpx2.Client(base_url=url.rstrip("/"), verify=verify, timeout=_TIMEOUT_S) as client:
            ready = client.get("/readyz")
            yield _ready(_shown(url), ready)
            yield _websocket(client)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        step = "Check DNS, the proxy's certificate (--ca-file), and that it passes to a serving process."
        yield Finding(name="address", level=Level.FAIL, detail=f"{_shown(url)}: {error}", next_step=step)


def _shown(url: str) -> str:
    """Without the name and password that may stand in it."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _ready(url: str, answer: httpx2.Response) -> Finding:
    try:
        told = answer.json()
        checks = {name: said for name, said in told["checks"].items() if said != "ok"}
    except (ValueError, KeyError, TypeError, AttributeError):
        step = "Is it this cloud? The proxy must pass every path, /readyz among them, with the Host that was asked for."
        detail = f"{url} answers {answer.status_code}, and not as a Ropeway cloud"
        return Finding(name="address", level=Level.FAIL, detail=detail, next_step=step)
    if not answer.is_success:
        detail = "; ".join(f"{name}: {said}" for name, said in checks.items())
        return Finding(name="address", level=Level.FAIL, detail=detail, next_step="Its log says more.")
    return Finding(name="address", level=Level.OK, detail=f"{url} is ready")


def _websocket(client: httpx2.Client) -> Finding:
    """The door of machines, up to where it would ask who is there."""
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": consumers.SUBPROTOCOL,
        "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
    }
    with client.stream("GET", consumers.PATH, headers=headers) as answer:
        if answer.status_code == _SWITCHING:
            return Finding(name="websockets", level=Level.OK, detail=f"{consumers.PATH} opens")
        step = "Have the proxy pass `Upgrade` and `Connection`, and HTTP/1.1, to the serving process."
        detail = f"{consumers.PATH} answers {answer.status_code}: machines cannot link"
        return Finding(name="websockets", level=Level.FAIL, detail=detail, next_step=step)
