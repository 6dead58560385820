"""What the service manager of this machine may refuse.

Raised by `supervision`; the command line gives it its exit code. Tests: tests/integration/daemon/test_service.py.
"""


class ServiceRefused(Exception):
    """The service manager did not do what it was asked."""
