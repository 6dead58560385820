"""That a proxy names clients in X-Forwarded-For and is not believed: said daily, and kept for `cloudctl doctor`.

Without ROPEWAY_TRUSTED_PROXIES everybody's address is then the proxy's: in the audit, and where guesses are counted.
Anyone can write that header, so what comes from the internet is said but not kept. Called by `cloud.config.mounts`,
read by `diagnosis`. Tests: tests/integration/cloud/health/test_proxies.py.
"""

import ipaddress
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cloud.health.models import UnheardProxy
from cloud.tenancy import scope, threads

KEPT = timedelta(days=7)
SAID_EVERY_S = 86_400.0
"""How often what goes on is said again, and kept again before it would count as over."""
UNIX = "unix"

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Said:
    """When this process said it last, by the steady clock: of something near, and of an address of the internet."""

    near: float | None = None
    far: float | None = None


_said = _Said()


def forwarded_unheard(peer: str | None) -> None:
    """Something told whom it asks for, and nobody is believed. Cheap after the day's first time; never blocks."""
    now = time.monotonic()
    if _is_lately(_said.near, now):
        return
    is_near = _is_near(peer)
    if not is_near and _is_lately(_said.far, now):
        return
    _said.near, _said.far = now if is_near else None, now
    logger.warning(
        "X-Forwarded-For is not believed: name what is in front in ROPEWAY_TRUSTED_PROXIES",
        extra={"event": "proxy.unheard", "peer": peer or UNIX},
    )
    if is_near:
        threads.after_answer(_keep, peer or UNIX)


def unheard_lately(*, now: datetime) -> str | None:
    """Which proxy was not believed in the last days, by its address."""
    with scope.operator():
        row = UnheardProxy.objects.filter(id=1, at__gt=now - KEPT).first()
    return None if row is None else row.peer


def _keep(peer: str) -> None:
    with scope.operator():
        UnheardProxy.objects.update_or_create(id=1, defaults={"at": datetime.now(UTC), "peer": peer[:64]})


def _is_lately(said_at: float | None, now: float) -> bool:
    return said_at is not None and now - said_at < SAID_EVERY_S


def _is_near(peer: str | None) -> bool:
    """Whether it is of the same machine or network, as proxies are; a Unix socket has no address."""
    try:
        return not ipaddress.ip_address((peer or "").partition("%")[0]).is_global
    except ValueError:
        return True
