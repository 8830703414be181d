"""Whose request it is: what trusted proxies wrote, and nothing that a client did."""

from ipaddress import ip_network

import pytest

from alphapulse.runtime.rate_limits import client_address
from alphapulse.runtime.settings import InvalidSetting, Settings


def scope(*forwarded: str, peer: str | None = "10.0.0.9") -> dict[str, object]:
    return {
        "type": "http",
        "client": None if peer is None else (peer, 5),
        "headers": [(b"x-forwarded-for", entry.encode()) for entry in forwarded],
    }


@pytest.mark.parametrize(
    ("forwarded", "hops", "expected"),
    [
        ((), 1, "direct-10.0.0.9"),
        ((), 0, "10.0.0.9"),
        (("203.0.113.7",), 1, "203.0.113.7"),
        (("198.51.100.1, 203.0.113.7",), 1, "203.0.113.7"),
        (("1.1.1.1", "203.0.113.7"), 1, "203.0.113.7"),
        (("1.1.1.1, 203.0.113.7, 10.1.2.3",), 2, "203.0.113.7"),
        (("203.0.113.7",), 2, "203.0.113.7"),
        (("203.0.113.7",), 0, "10.0.0.9"),
        (("203.0.113.7:4711",), 1, "203.0.113.7"),
        (("::ffff:203.0.113.7",), 1, "203.0.113.7"),
        (("2001:db8:1:2:3:4:5:6",), 1, "2001:db8:1:2::/64"),
        (("[2001:db8:1:2::1]:443",), 1, "2001:db8:1:2::/64"),
        (("fe80::1%eth0",), 1, "fe80::/64"),
        (("1.2.3.4}:x",), 1, "unknown"),
        (("\r\nFLUSHALL",), 1, "unknown"),
    ],
)
def test_the_address_is_the_last_trusted_hops(forwarded: tuple[str, ...], hops: int, expected: str) -> None:
    assert client_address(scope(*forwarded), trusted_hops=hops) == expected


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, 10.1.1.1, 10.1.1.2", "203.0.113.7"),
        ("203.0.113.7, 10.1.1.1, 10.1.1.2, fd00::5", "203.0.113.7"),
        ("203.0.113.7, ::ffff:10.1.1.1", "203.0.113.7"),
        ("1.1.1.1, 10.9.9.9, 203.0.113.7, 10.1.1.1", "203.0.113.7"),
        ("1.1.1.1, nonsense, 10.1.1.1", "unknown"),
        ("10.4.4.4, 10.1.1.1", "10.4.4.4"),
    ],
)
def test_however_many_proxies_of_the_cluster_a_request_meets_the_client_is_the_same(
    forwarded: str, expected: str
) -> None:
    proxies = (ip_network("10.0.0.0/8"), ip_network("fc00::/7"))

    assert client_address(scope(forwarded), trusted_hops=1, trusted_proxies=proxies) == expected


def test_networks_that_are_none_are_refused() -> None:
    read = Settings.from_environment({"TRUSTED_PROXIES": "10.0.0.0/8, fc00::/7"})

    assert read.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("fc00::/7"))
    with pytest.raises(InvalidSetting, match="TRUSTED_PROXIES"):
        Settings.from_environment({"TRUSTED_PROXIES": "10.0.0.0/8,"})


def test_without_a_peer_the_address_is_unknown() -> None:
    assert client_address(scope(peer=None), trusted_hops=0) == "unknown"
