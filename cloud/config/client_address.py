"""The address of who asks, as far as it can be known: the one place that decides, for every surface.

It is the peer's own, unless the peer is a proxy that the installation trusts (ROPEWAY_TRUSTED_PROXIES; by default
nobody, for anyone can write a header): then it is the nearest address in X-Forwarded-For that is no trusted proxy's.
Pure. Called by `mounts`, and by the settings. Tests: tests/unit/cloud/config/test_client_address.py.
"""

import ipaddress
from collections.abc import Collection, Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
UNIX = "unix"
"""Trusts whoever comes by a Unix socket, which has no address."""
HOPS_MAX = 20


class InvalidNetwork(ValueError):
    """ROPEWAY_TRUSTED_PROXIES holds something that is no network; write 10.0.0.0/8, ::1 or unix, with commas."""


def networks_parse(text: str) -> frozenset[Network | str]:
    """Whom to trust, from a list with commas. Raises InvalidNetwork."""
    return frozenset(_network(word) for part in text.split(",") if (word := part.strip()))


def client_address_of(
    *, peer: str | None, forwarded_for: Iterable[bytes], trusted: Collection[Network | str]
) -> str | None:
    """Who asks, given the connection's own peer and its X-Forwarded-For headers in their order; None for nobody known.

    Read from its end, which the nearest proxy wrote; what is beyond an address that is none is not believed."""
    address = _address(peer)
    if not _is_trusted(peer if address is None else address, trusted):
        return _written(address)
    told = [part.decode("latin-1") for line in forwarded_for for part in line.split(b",")]
    for part in reversed(told[-HOPS_MAX:]):
        found = _address(part.strip())
        if found is None:
            break
        address = found
        if not _is_trusted(address, trusted):
            break
    return _written(address)


def _network(word: str) -> Network | str:
    if word == UNIX:
        return word
    try:
        return ipaddress.ip_network(word, strict=False)
    except ValueError:
        raise InvalidNetwork(f"{word!r} is no network: ROPEWAY_TRUSTED_PROXIES.") from None


def _address(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address; one of IPv4 in the dress of IPv6 as what it is, one with a zone without it."""
    try:
        found = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _is_trusted(
    peer: ipaddress.IPv4Address | ipaddress.IPv6Address | str | None, trusted: Collection[Network | str]
) -> bool:
    if peer is None or isinstance(peer, str):
        return UNIX in trusted
    return any(peer in network for network in trusted if not isinstance(network, str))


def _written(address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> str | None:
    return None if address is None else str(address)
