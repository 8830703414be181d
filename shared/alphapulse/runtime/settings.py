"""Settings of a function process, read from its environment once.

A plain dataclass, because this is imported by every function at start: pydantic would add 85 ms to
the cold start of the event functions, which need it for nothing else.
"""

import dataclasses
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Self

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SYMBOL = re.compile(r"[A-Z0-9]{2,15}-[A-Z0-9]{2,15}")
_SAFE_ADDRESS = r"https://[^\s/?#@]+|http://(127\.0\.0\.1|localhost)(:\d+)?"


class InvalidSetting(ValueError):
    """A setting is malformed; the message names it and shows the value only when it is no secret."""


class Secret:
    """A text that is printed as stars."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('**********')"


def _setting(read: Callable[[str], Any], default: Any = None) -> Any:
    return dataclasses.field(default=default, metadata={"read": read})


def _matching(pattern: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def read(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"must match {pattern}, was {text!r}")
        return text

    return read


def _number(kind: Callable[[str], Any], least: float, most: float) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            value = kind(text)
        except (ValueError, InvalidOperation) as error:
            raise ValueError(f"must be a number, was {text!r}") from error
        if not least <= value <= most:
            raise ValueError(f"must be between {least:g} and {most:g}, was {text}")
        return value

    return read


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"must be networks such as 10.0.0.0/8, separated by commas, was {text!r}") from error


def _symbols(text: str) -> tuple[str, ...]:
    symbols = tuple(part.strip() for part in text.split(","))
    wrong = [symbol for symbol in symbols if not _SYMBOL.fullmatch(symbol)]
    if wrong:
        raise ValueError(f"must be symbols such as BTC-USDT, separated by commas, was {text!r}")
    return symbols


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a function may be configured with; each reads only what it needs.

    The field `database_url` is the environment variable `DATABASE_URL`, and so on. An empty
    variable counts as absent. Addresses that carry a password are secrets and never printed.
    """

    function: str = _setting(_matching(r"[a-z][a-z0-9_]*"), "function")
    # A container listens on every address of its pod.
    host: str = _setting(str, "0.0.0.0")  # noqa: S104 - see above
    port: int = _setting(_number(int, 0, 65535), 8080)
    log_level: str = _setting(_matching(r"DEBUG|INFO|WARNING|ERROR"), "INFO")
    body_limit_bytes: int = _setting(_number(int, 1024, 2**30), 1_048_576)
    shutdown_seconds: int = _setting(_number(int, 1, 600), 25)

    database_url: Secret | None = _setting(Secret)
    platform_database_url: Secret | None = _setting(Secret)
    # Longer than any event may come again; the database removes no mark that is younger than 7 days.
    processed_events_days: int = _setting(_number(int, 7, 3650), 30)
    # For as long a signal can be made again after it was made.
    evidence_days: int = _setting(_number(int, 7, 3650), 90)
    database_pool_size: int = _setting(_number(int, 1, 100), 8)
    redis_url: Secret | None = _setting(Secret)
    broker_url: str | None = _setting(str)
    jwks_url: str | None = _setting(str)
    # Of one client address, over all functions.
    ip_requests_per_minute: int = _setting(_number(int, 1, 10**9), 1_000)
    # Proxies in front that each append to X-Forwarded-For.
    trusted_hops: int = _setting(_number(int, 0, 10), 1)
    # Where further such proxies are, of which a request meets now more and now fewer.
    trusted_proxies: tuple[Network, ...] = _setting(_networks, ())
    token_signing_key_file: Path | None = _setting(Path)

    # Vault; a function logs in with its AppRole's two files, or in a cluster with its service account.
    vault_addr: str | None = _setting(_matching(r"https?://[^\s/?#@]+"))
    vault_role_id_file: Path | None = _setting(Path)
    vault_secret_id_file: Path | None = _setting(Path)
    vault_k8s_role: str | None = _setting(_matching(r"[a-z][a-z0-9-]*"))
    vault_k8s_token_file: Path = _setting(Path, Path("/var/run/secrets/kubernetes.io/serviceaccount/token"))
    vault_cacert: Path | None = _setting(Path)
    vault_namespace: str | None = _setting(_matching(r"[\w./-]+"))

    # Where people reach the platform: links in mails begin with it.
    public_url: str | None = _setting(_matching(r"https?://[^\s/?#@]+"))
    smtp_url: Secret | None = _setting(Secret)
    mail_from: str | None = _setting(_matching(r"[^\r\n]+@[^\r\n]+"))
    stripe_api_key: Secret | None = _setting(Secret)
    # Another address than Stripe's: a simulation's. Never in the clear but on this machine.
    stripe_api_base: str | None = _setting(_matching(_SAFE_ADDRESS))
    stripe_price_starter: str | None = _setting(_matching(r"price_\w+"))
    stripe_price_pro: str | None = _setting(_matching(r"price_\w+"))
    stripe_price_enterprise: str | None = _setting(_matching(r"price_\w+"))

    # Test systems of exchanges instead of the exchanges; no key goes in the clear but on this machine.
    binance_url: str | None = _setting(_matching(_SAFE_ADDRESS))
    coinbase_url: str | None = _setting(_matching(_SAFE_ADDRESS))
    kraken_url: str | None = _setting(_matching(_SAFE_ADDRESS))

    # Files of on-chain, supply, posts and governance data; without them the services, or a simulation.
    provider_data_dir: Path | None = _setting(Path)
    provider_source: str = _setting(_matching(r"live|simulated"), "live")
    coin_metrics_api_key: Secret | None = _setting(Secret)
    coingecko_api_key: Secret | None = _setting(Secret)
    ethplorer_api_key: Secret | None = _setting(Secret)
    x_bearer_token: Secret | None = _setting(Secret)
    tally_api_key: Secret | None = _setting(Secret)
    # Test systems of data sources instead of the sources; as with the exchanges.
    coin_metrics_url: str | None = _setting(_matching(_SAFE_ADDRESS))
    blockchain_com_url: str | None = _setting(_matching(_SAFE_ADDRESS))
    coingecko_url: str | None = _setting(_matching(_SAFE_ADDRESS))
    ethplorer_url: str | None = _setting(_matching(_SAFE_ADDRESS))
    reddit_url: str | None = _setting(_matching(_SAFE_ADDRESS))
    x_url: str | None = _setting(_matching(_SAFE_ADDRESS))
    snapshot_url: str | None = _setting(_matching(_SAFE_ADDRESS))
    tally_url: str | None = _setting(_matching(_SAFE_ADDRESS))
    defillama_url: str | None = _setting(_matching(_SAFE_ADDRESS))

    # Candles and prices: files if there is a directory, else an exchange's public endpoints or a simulation.
    market_data_dir: Path | None = _setting(Path)
    market_data_source: str = _setting(_matching(r"binance|coinbase|kraken|simulated"), "simulated")
    # Of the exchange; none are the ten best known that it has.
    market_symbols: tuple[str, ...] = _setting(_symbols, ())
    simulation_seed: int = _setting(_number(int, 0, 2**63), 20260101)
    price_max_age_seconds: float = _setting(_number(float, 0.001, 86_400), 30.0)
    paper_half_spread_bps: Decimal = _setting(_number(Decimal, 0, 1000), Decimal(1))
    paper_fee_bps: Decimal = _setting(_number(Decimal, 0, 1000), Decimal(10))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read settings from `environment` (default: the process's).

        Raises
        ------
        InvalidSetting
            A value is malformed; all of them are named.
        """
        source = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        problems = []
        for field in dataclasses.fields(cls):
            text = source.get(field.name.upper())
            if not text:
                continue
            try:
                values[field.name] = field.metadata["read"](text)
            except ValueError as error:
                problems.append(f"{field.name.upper()} {error}")
        if problems:
            raise InvalidSetting("; ".join(problems))
        return cls(**values)

    def replace(self, **changes: Any) -> Self:
        """Return settings with some fields changed."""
        return dataclasses.replace(self, **changes)
