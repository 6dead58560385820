"""What this process counts, for Prometheus: every metric there is, in one place.

No label names a tenant, a person or a machine: whoever may read these may not read those. Each serving process counts
for itself and is scraped by itself. Called by whoever knows the facts; shown by `cloud.health`. Tests:
tests/unit/cloud/metrics/test_registry.py.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from local_daemon.protocol import errors
from local_daemon.protocol.operations import REMOTE_OPERATIONS

REGISTRY = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)

OK = "ok"
GONE = "gone"
"""The planner left before the answer came."""
_UNKNOWN = "unknown"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

CALLS = Counter(
    "ropeway_calls", "Calls through the funnel, by how they ended.", ["operation", "outcome"], registry=REGISTRY
)
CALL_SECONDS = Histogram(
    "ropeway_call_seconds", "From asking to being answered.", ["operation"], buckets=_SECONDS, registry=REGISTRY
)
CALLS_PENDING = Gauge("ropeway_calls_pending", "Calls whose answer somebody here waits for.", registry=REGISTRY)
LINKS = Gauge("ropeway_links", "Connectors whose link ends here.", registry=REGISTRY)
EVENTS = Counter("ropeway_events_applied", "Events of machines taken in.", registry=REGISTRY)
AUDIT_SEALED = Counter("ropeway_audit_sealed", "Audit events that this process chained.", registry=REGISTRY)
AUDIT_SEAL_SECONDS = Histogram(
    "ropeway_audit_seal_seconds", "One pass of sealing.", buckets=_SECONDS, registry=REGISTRY
)
AUDIT_LAG_SECONDS = Gauge(
    "ropeway_audit_lag_seconds", "Age of the oldest audit event that is not sealed; of all tenants.", registry=REGISTRY
)
HTTP_REQUESTS = Counter(
    "ropeway_http_requests", "Requests answered, by surface and status.", ["surface", "status"], registry=REGISTRY
)
DATABASE_THREADS = Gauge("ropeway_database_threads", "Threads for the hot path's database work.", registry=REGISTRY)
DATABASE_QUEUE = Gauge("ropeway_database_queue", "Work that waits for such a thread.", registry=REGISTRY)
POOL_SIZE = Gauge("ropeway_database_pool_size", "Connections in the pool.", registry=REGISTRY)
POOL_FREE = Gauge("ropeway_database_pool_free", "Connections in the pool that nobody uses.", registry=REGISTRY)
POOL_WAITING = Gauge("ropeway_database_pool_waiting", "Who waits for a connection.", registry=REGISTRY)
WORKER_BEAT_SECONDS = Gauge(
    "ropeway_worker_beat_seconds", "Since a worker last did its minute's task.", registry=REGISTRY
)
TASKS_QUEUED = Gauge("ropeway_tasks_queued", "Tasks that wait for a worker.", registry=REGISTRY)

_outcomes: dict[tuple[str, str], Counter] = {}
_seconds: dict[str, Histogram] = {}


def call_count(operation: str, outcome: str, seconds: float) -> None:
    """Count one call. Names that no table holds are counted together, so that nobody can make up series."""
    known = operation if operation in REMOTE_OPERATIONS else _UNKNOWN
    key = (known, outcome if outcome in errors.TABLE or outcome in (OK, GONE) else _UNKNOWN)
    # Looking a label up costs several times as much as counting.
    counter = _outcomes.get(key)
    if counter is None:
        counter = _outcomes[key] = CALLS.labels(*key)
        _seconds[known] = CALL_SECONDS.labels(known)
    counter.inc()
    _seconds[known].observe(seconds)


_requests: dict[tuple[str, int], Counter] = {}


def request_count(surface: str, status: int) -> None:
    """Count one answered request. `surface` is one of the installation's mounts."""
    key = (surface, status)
    counter = _requests.get(key)
    if counter is None:
        counter = _requests[key] = HTTP_REQUESTS.labels(surface, str(status))
    counter.inc()
