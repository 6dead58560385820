"""That a proxy names clients in X-Forwarded-For and is not believed: said once, and kept for `cloudctl doctor`.

Without ROPEWAY_TRUSTED_PROXIES everybody's address is then the proxy's: in the audit, and where guesses are counted.
Anyone can write that header, so what comes from the internet is said but not kept. Called by `cloud.config.mounts`,
read by `diagnosis`. Tests: tests/integration/cloud/health/test_proxies.py.
"""

import ipaddress
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cloud.health.models import UnheardProxy
from cloud.tenancy import scope, threads

KEPT = timedelta(days=7)
UNIX = "unix"

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Said:
    """Whether this process has said it: of something near, and of an address of the internet."""

    near: bool = False
    far: bool = False


_said = _Said()


def forwarded_unheard(peer: str | None) -> None:
    """Something told whom it asks for, and nobody is believed. Cheap after the first time; never blocks."""
    if _said.near:
        return
    is_near = _is_near(peer)
    if not is_near and _said.far:
        return
    _said.near, _said.far = is_near, True
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


def _is_near(peer: str | None) -> bool:
    """Whether it is of the same machine or network, as proxies are; a Unix socket has no address."""
    try:
        return not ipaddress.ip_address((peer or "").partition("%")[0]).is_global
    except ValueError:
        return True
