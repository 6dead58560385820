import pytest

from cloud.config import client_address

PROXY, NEXT = "10.0.0.7", "10.1.0.9"
TRUSTED = client_address.networks_parse("10.0.0.0/8, ::1")


def of(peer: str | None, *headers: str, trusted: frozenset[object] = TRUSTED) -> str | None:
    told = [header.encode() for header in headers]
    return client_address.client_address_of(peer=peer, forwarded_for=told, trusted=trusted)  # type: ignore[arg-type]


def test_by_default_nobodys_word_is_taken() -> None:
    trusted = client_address.networks_parse("")
    assert of(PROXY, "203.0.113.5", trusted=trusted) == PROXY


def test_a_trusted_proxy_says_who_asks() -> None:
    assert of(PROXY, "203.0.113.5") == "203.0.113.5"


def test_what_the_client_wrote_itself_is_not_believed() -> None:
    assert of(PROXY, "192.0.2.1, 203.0.113.5") == "203.0.113.5"
    assert of(PROXY, "192.0.2.1", "203.0.113.5") == "203.0.113.5"
    assert of("198.51.100.2", "192.0.2.1") == "198.51.100.2"


def test_of_several_proxies_the_first_one_that_is_not_ours_counts() -> None:
    assert of(PROXY, f"192.0.2.1, 203.0.113.5, {NEXT}") == "203.0.113.5"


@pytest.mark.parametrize("told", ["", "unknown", "203.0.113.5, nonsense", "[::1]:80", "\x00"])
def test_where_the_proxy_says_nothing_that_is_an_address_it_is_the_proxys(told: str) -> None:
    assert of(PROXY, told) == PROXY


def test_an_address_is_written_in_one_way() -> None:
    assert of("::ffff:203.0.113.5") == "203.0.113.5"
    assert of("fe80::1%eth0") == "fe80::1"
    assert of("2001:DB8::0:1") == "2001:db8::1"
    assert of("::ffff:10.0.0.7", "203.0.113.5") == "203.0.113.5"


def test_who_comes_by_a_unix_socket_has_no_address_unless_it_is_trusted() -> None:
    assert of(None, "203.0.113.5") is None
    assert of("", "203.0.113.5", trusted=client_address.networks_parse("unix")) == "203.0.113.5"


def test_endless_headers_are_not_read_to_their_beginning() -> None:
    assert of(PROXY, "203.0.113.5" + f", {NEXT}" * 5_000) == NEXT


def test_a_setting_that_names_no_network_is_refused() -> None:
    with pytest.raises(client_address.InvalidNetwork, match="proxy.internal"):
        client_address.networks_parse("10.0.0.0/8, proxy.internal")
