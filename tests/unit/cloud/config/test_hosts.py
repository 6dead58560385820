import pytest
from pytest_django import Settings

from cloud.config import hosts


@pytest.mark.parametrize("host", ["cloud.example", "cloud.example:8443", "CLOUD.example", "[::1]:8000"])
def test_our_own_names_are_answered(settings: Settings, host: str) -> None:
    settings.ALLOWED_HOSTS = ["cloud.example", "[::1]", ""]
    assert hosts.is_host_allowed(host)


@pytest.mark.parametrize(
    "host", ["", "evil.example", "cloud.example.evil.example", "cloud.example@evil.example", "a b", ":8000", "\x00"]
)
def test_nobody_elses_name_is_answered(settings: Settings, host: str) -> None:
    settings.ALLOWED_HOSTS = ["cloud.example", "[::1]", ""]
    assert not hosts.is_host_allowed(host)
