"""Where Redis is: one server, a master that Sentinels name, or the node of a Cluster that has our slot."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from alphapulse_broker.errors import InvalidAddress
from alphapulse_broker.settings import Settings

STANDALONE = "standalone"
SENTINEL = "sentinel"
CLUSTER = "cluster"

_PORTS = {STANDALONE: 6379, SENTINEL: 26379, CLUSTER: 6379}
_SCHEMES = {
    f"{transport}{suffix}": (mode, transport == "rediss")
    for transport in ("redis", "rediss")
    for suffix, mode in (("", STANDALONE), ("+sentinel", SENTINEL), ("+cluster", CLUSTER))
}
_LARGEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of a TLS connection; the server's certificate and name are always checked.

    Parameters
    ----------
    ca_file
        Authorities to trust; None means those of the system.
    certificate_file, key_file
        What this client shows of itself; None for a server that asks for nothing.
    """

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """An ACL user and its password; without a user it is the `default` one."""

    username: str | None = None
    password: str | None = None


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A parsed `BROKER_REDIS_URL` with all that is needed to connect. Secrets stay out of its repr."""

    mode: str
    hosts: tuple[tuple[str, int], ...]
    credentials: Credentials = field(default=Credentials(), repr=False)
    sentinel_credentials: Credentials = field(default=Credentials(), repr=False)
    service: str = ""
    database: int = 0
    tls: Tls | None = None

    def options(self, *, sentinel: bool = False) -> dict[str, Any]:
        """Return redis-py's arguments for a connection to a data node, or to a Sentinel."""
        credentials = self.sentinel_credentials if sentinel else self.credentials
        found: dict[str, Any] = {
            "db": 0 if sentinel else self.database,
            "username": credentials.username,
            "password": credentials.password,
        }
        if self.tls is not None:
            found |= {
                "ssl_cert_reqs": "required",
                "ssl_check_hostname": True,
                "ssl_ca_certs": _text(self.tls.ca_file),
                "ssl_certfile": _text(self.tls.certificate_file),
                "ssl_keyfile": _text(self.tls.key_file),
            }
        return found


def address_from(settings: Settings) -> RedisAddress:
    """Return the address that the settings name.

    Raises
    ------
    InvalidAddress
        Saying what is wrong without repeating the URL, which holds a password.
    """
    files = (settings.redis_ca_file, settings.redis_cert_file, settings.redis_key_file)
    password = settings.redis_sentinel_password
    return parse_address(
        settings.redis_url.get_secret_value(),
        tls=Tls(*files),
        sentinel_credentials=Credentials(
            settings.redis_sentinel_username, password.get_secret_value() if password else None
        ),
    )


def parse_address(
    url: str, *, tls: Tls | None = None, sentinel_credentials: Credentials | None = None
) -> RedisAddress:
    """Parse a URL.

    Parameters
    ----------
    url
        `redis://[user[:password]@]host[:port][/db]`, `redis+sentinel://...@host[:port],.../service[/db]` or
        `redis+cluster://...@host[:port],...`; with `rediss` instead of `redis` over TLS.
    tls
        Used with `rediss` only, and refused without it.

    Raises
    ------
    InvalidAddress
        Saying what is wrong without repeating the URL.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidAddress("the redis URL cannot be parsed") from error
    if parts.scheme not in _SCHEMES:
        raise InvalidAddress(f"the redis URL must start with one of {', '.join(sorted(_SCHEMES))}")
    if parts.query or parts.fragment:
        raise InvalidAddress("the redis URL takes no options; TLS files are settings of their own")
    mode, encrypted = _SCHEMES[parts.scheme]
    _check_tls(tls or Tls(), encrypted=encrypted)
    service, database = _path(parts, mode)
    return RedisAddress(
        mode=mode,
        hosts=_hosts(parts, mode),
        credentials=_credentials(parts),
        sentinel_credentials=sentinel_credentials or Credentials(),
        service=service,
        database=database,
        tls=(tls or Tls()) if encrypted else None,
    )


def _check_tls(tls: Tls, *, encrypted: bool) -> None:
    files = [file for file in (tls.ca_file, tls.certificate_file, tls.key_file) if file is not None]
    if files and not encrypted:
        # Somebody believes that this connection is encrypted.
        raise InvalidAddress("TLS files are set, but the redis URL does not start with rediss")
    if tls.key_file is not None and tls.certificate_file is None:
        raise InvalidAddress("a TLS key is set without its certificate")
    for file in files:
        if not file.is_file():
            raise InvalidAddress(f"there is no TLS file at {file}")


def _credentials(parts: SplitResult) -> Credentials:
    userinfo, found, _ = parts.netloc.rpartition("@")
    if not found:
        return Credentials()
    username, _, password = userinfo.partition(":")
    return Credentials(unquote(username) or None, unquote(password) or None)


def _hosts(parts: SplitResult, mode: str) -> tuple[tuple[str, int], ...]:
    hosts = tuple(
        _host(text.strip(), _PORTS[mode])
        for text in parts.netloc.rpartition("@")[2].split(",")
        if text.strip()
    )
    if not hosts:
        raise InvalidAddress("the redis URL names no host")
    if mode == STANDALONE and len(hosts) > 1:
        raise InvalidAddress("several hosts need redis+sentinel:// or redis+cluster://")
    return hosts


def _host(text: str, default_port: int) -> tuple[str, int]:
    name, port = text, ""
    if text.startswith("["):
        name, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif ":" in text:
        name, _, port = text.rpartition(":")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) <= _LARGEST_PORT):
        raise InvalidAddress("the redis URL names a port that is no port")
    if not name:
        raise InvalidAddress("the redis URL names a port without a host")
    return name, int(port) if port else default_port


def _path(parts: SplitResult, mode: str) -> tuple[str, int]:
    segments = [unquote(segment) for segment in parts.path.split("/") if segment]
    service = ""
    if mode == SENTINEL:
        if not segments:
            raise InvalidAddress("redis+sentinel:// needs the service's name as its path")
        service = segments.pop(0)
    if mode == CLUSTER and segments not in ([], ["0"]):
        raise InvalidAddress("a Redis Cluster has database 0 only")
    if len(segments) > 1 or not all(segment.isascii() and segment.isdigit() for segment in segments):
        raise InvalidAddress("the redis URL must end with the number of a database, or with none")
    return service, int(segments[0]) if segments else 0


def _text(file: Path | None) -> str | None:
    return str(file) if file is not None else None
