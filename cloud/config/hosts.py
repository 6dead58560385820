"""Which names this installation answers to: the fence against web pages that reach us by a name of theirs.

The same list as Django's own, for what stands before Django. Called by `mounts` and the connectors' door. Tests:
tests/unit/cloud/config/test_hosts.py.
"""

from django.conf import settings
from django.http.request import split_domain_port, validate_host


def is_host_allowed(host: str) -> bool:
    """Whether a Host header names this installation."""
    domain, _port = split_domain_port(host)
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)
