"""Hourly: remove for good the organizations, workspaces and projects whose grace is over.

Tests: tests/integration/cloud/tenancy/test_purging.py.
"""

from datetime import UTC, datetime

from cloud.tenancy import purging


def run() -> int:
    """How many were removed."""
    return len(purging.purge_due(now=datetime.now(UTC)))
