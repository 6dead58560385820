"""/livez, /readyz and /metrics in this serving process. Called by the wiring.

Tests: tests/integration/cloud/health/test_probes.py.
"""

from collections.abc import Callable, Iterable

from django.conf import settings

from cloud.config import hosts, mounts
from cloud.dispatch import services as dispatch
from cloud.health.probes import Probes


def mount(*, ended_loops: Callable[[], Iterable[str]]) -> None:
    """Mount them."""
    probes = Probes(
        ended_loops=ended_loops,
        carried=dispatch.carried,
        is_host_allowed=hosts.is_host_allowed,
        metrics_token=settings.METRICS_TOKEN,
    )
    mounts.PROBES.update(probes.applications())
