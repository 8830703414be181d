"""Whose request it is: what trusted proxies wrote, and nothing that a client did."""

import pytest

from alphapulse.runtime.rate_limits import client_address


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


def test_without_a_peer_the_address_is_unknown() -> None:
    assert client_address(scope(peer=None), trusted_hops=0) == "unknown"
