"""Each minute: say that a worker works. What /readyz and the metrics show of it is in `cloud.health`.

Tests: tests/integration/cloud/health/test_worker.py.
"""

from cloud.health import worker


def run() -> None:
    """Say so."""
    worker.worker_beat()
