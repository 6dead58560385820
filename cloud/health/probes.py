"""/livez, /readyz and /metrics: raw ASGI before Django, for the installation's own supervisors and Prometheus.

The first two say nothing of tenants and are anyone's to ask. Metrics are for who presents the metrics token; where none
is set, for this machine only, asked directly and not through what ends TLS in front. Mounted by the wiring. Tests:
tests/integration/cloud/health/test_probes.py.
"""

import asyncio
import hmac
import ipaddress
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from prometheus_client import exposition

from cloud.health import figures, readiness
from cloud.health.readiness import Readiness
from cloud.metrics import registry
from cloud.tenancy.threads import in_database_thread
from local_daemon.protocol import errors
from relay import http_messages

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

KEPT_S = 1.0
"""How long what was found is told again: probes may come as often as they like."""
LOOK_S = 5.0
"""How long a look may take before it counts as failed."""
_FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-real-ip"})


class Probes:
    """The three applications, by path."""

    def __init__(
        self,
        *,
        ended_loops: Callable[[], Iterable[str]],
        carried: Callable[[], tuple[int, int]],
        is_host_allowed: Callable[[str], bool],
        metrics_token: str,
    ) -> None:
        """`carried`: links and pending calls of this process."""
        self._ended_loops = ended_loops
        self._carried = carried
        self._is_host_allowed = is_host_allowed
        self._metrics_token = metrics_token
        self._looking = asyncio.Lock()
        self._found: Readiness | None = None
        self._found_at = 0.0
        self._looked_up_at = 0.0

    def applications(self) -> dict[str, Callable[[Any, Any, Any], Awaitable[None]]]:
        """Exact path → application."""
        return {"/livez": self.livez, "/readyz": self.readyz, "/metrics": self.metrics}

    async def livez(self, scope: Scope, _receive: Any, send: Send) -> None:
        """The event loop goes round: that this is answered at all."""
        if await self._is_told(scope, send):
            await http_messages.send_json(send, 200, {"status": "ok"})

    async def readyz(self, scope: Scope, _receive: Any, send: Send) -> None:
        """Whether to send requests here: 200, or 503 with what is the matter."""
        if await self._is_told(scope, send):
            found = await self._readiness()
            body = {"status": "ok" if found.is_ready else "unready", "checks": found.checks}
            await http_messages.send_json(send, 200 if found.is_ready else 503, body)

    async def metrics(self, scope: Scope, _receive: Any, send: Send) -> None:
        """Prometheus' text."""
        if not await self._is_told(scope, send):
            return
        if not self._may_read_metrics(scope):
            await http_messages.send_problem(send, errors.NotFound())
            return
        await self._figures()
        content = exposition.generate_latest(registry.REGISTRY)
        media_type = exposition.CONTENT_TYPE_LATEST.encode()
        headers = [(b"content-type", media_type), (b"content-length", b"%d" % len(content))]
        await http_messages.send_head(send, 200, headers)
        await send({"type": "http.response.body", "body": content})

    async def _is_told(self, scope: Scope, send: Send) -> bool:
        """Whether to answer: a read, by our name or by an address. A page by a name of its own is told nothing."""
        if scope["method"] not in ("GET", "HEAD"):
            await http_messages.send_problem(send, errors.MethodNotAllowed(allowed=["GET"]))
            return False
        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        if self._is_host_allowed(host) or _is_address(host):
            return True
        await http_messages.send_problem(send, errors.NotFound())
        return False

    def _may_read_metrics(self, scope: Scope) -> bool:
        headers = dict(scope["headers"])
        if self._metrics_token:
            given = headers.get(b"authorization", b"").removeprefix(b"Bearer ")
            return hmac.compare_digest(given, self._metrics_token.encode())
        client = scope.get("client")
        is_here = client is not None and _is_loopback(str(client[0]))
        return is_here and not _FORWARDED & headers.keys()

    async def _readiness(self) -> Readiness:
        async with self._looking:
            if self._found is None or time.monotonic() - self._found_at > KEPT_S:
                try:
                    async with asyncio.timeout(LOOK_S):
                        self._found = await in_database_thread(readiness.readiness, self._ended_loops)
                except TimeoutError:
                    self._found = Readiness(is_ready=False, checks={"database": "slow"})
                self._found_at = time.monotonic()
            return self._found

    async def _figures(self) -> None:
        links, pending = self._carried()
        registry.LINKS.set(links)
        registry.CALLS_PENDING.set(pending)
        figures.figures_of_process()
        if time.monotonic() - self._looked_up_at > KEPT_S:
            self._looked_up_at = time.monotonic()
            found = await self._readiness()
            if found.checks.get("database") == "ok":
                await in_database_thread(figures.figures_look_up)


def _is_address(host: str) -> bool:
    """Whether a Host header is an address: no name that somebody else could give away."""
    bare = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
    try:
        ipaddress.ip_address(bare.strip("[]"))
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        # A Unix socket has no address: whoever reaches it is here.
        return address == ""
