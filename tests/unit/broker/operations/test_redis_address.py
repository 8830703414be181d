from pathlib import Path

import pytest

from alphapulse_broker.errors import InvalidAddress
from alphapulse_broker.redis_address import CLUSTER, SENTINEL, STANDALONE, Credentials, Tls, parse_address

SECRET = "do-not-print-me"


def test_standalone_url_is_read() -> None:
    address = parse_address("redis://user:p%40ss%2Fword@redis.example:6380/3")

    assert address.mode == STANDALONE
    assert address.hosts == (("redis.example", 6380),)
    assert address.credentials == Credentials("user", "p@ss/word")
    assert address.database == 3
    assert address.tls is None


def test_url_without_port_user_and_database_has_defaults() -> None:
    address = parse_address("redis://:secret@redis.example")

    assert address.hosts == (("redis.example", 6379),)
    assert address.credentials == Credentials(None, "secret")
    assert address.database == 0


def test_sentinel_url_names_hosts_service_and_database() -> None:
    address = parse_address("redis+sentinel://:secret@one:26380,two,[::1]:26381/events/2")

    assert address.mode == SENTINEL
    assert address.hosts == (("one", 26380), ("two", 26379), ("::1", 26381))
    assert (address.service, address.database) == ("events", 2)


def test_credentials_of_data_nodes_are_not_shown_to_sentinels() -> None:
    address = parse_address(
        "redis+sentinel://user:secret@one/events",
        sentinel_credentials=Credentials("watcher", "other"),
    )

    assert address.options(sentinel=True)["password"] == "other"
    assert address.options(sentinel=True)["username"] == "watcher"
    assert address.options()["password"] == "secret"
    assert parse_address("redis+sentinel://user:secret@one/events").options(sentinel=True)["password"] is None


def test_cluster_url_names_seeds() -> None:
    address = parse_address("redis+cluster://one:7000,two:7001")

    assert address.mode == CLUSTER
    assert address.hosts == (("one", 7000), ("two", 7001))


@pytest.mark.parametrize("scheme", ["rediss", "rediss+sentinel", "rediss+cluster"])
def test_tls_always_checks_certificate_and_name(scheme: str, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    path = "/events" if "sentinel" in scheme else ""

    options = parse_address(f"{scheme}://host{path}", tls=Tls(ca_file=authority)).options()

    assert options["ssl_cert_reqs"] == "required"
    assert options["ssl_check_hostname"] is True
    assert options["ssl_ca_certs"] == str(authority)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"http://:{SECRET}@host", "must start with one of redis, redis\\+cluster"),
        (f"redis://:{SECRET}@", "names no host"),
        (f"redis://:{SECRET}@one,two", "several hosts need"),
        (f"redis://:{SECRET}@host:0", "a port that is no port"),
        (f"redis://:{SECRET}@host:99999", "a port that is no port"),
        (f"redis://:{SECRET}@:6379", "a port without a host"),
        (f"redis://:{SECRET}@host/zero", "number of a database"),
        (f"redis://:{SECRET}@host/0/1", "number of a database"),
        (f"redis+sentinel://:{SECRET}@host", "needs the service's name"),
        (f"redis+cluster://:{SECRET}@host/1", "database 0 only"),
        (f"rediss://:{SECRET}@host?ssl_cert_reqs=none", "takes no options"),
        (f"rediss://:{SECRET}@[host", "cannot be parsed"),
    ],
)
def test_unusable_url_is_refused_without_being_repeated(url: str, said: str) -> None:
    with pytest.raises(InvalidAddress, match=said) as refused:
        parse_address(url)

    assert SECRET not in str(refused.value)


def test_missing_tls_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidAddress, match=r"there is no TLS file at .*ca\.pem"):
        parse_address("rediss://host", tls=Tls(ca_file=tmp_path / "ca.pem"))


def test_repr_of_an_address_holds_no_secret() -> None:
    assert SECRET not in repr(parse_address(f"redis://user:{SECRET}@host"))
