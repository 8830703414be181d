"""Rate limits of HTTP requests: who asks, what is left, and the headers that say so."""

import ipaddress
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from starlette.types import Scope

from alphapulse.runtime.errors import FunctionError, QuotaExceeded, RateLimited
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.settings import Network, Settings
from alphapulse.tenancy.limiter import address_allowance
from alphapulse.tenancy.windows import Allowance, Standing

UPGRADE_PATH: Final = "/subscription/upgrade"
_UNKNOWN: Final = "unknown"
_IPV6_SITE: Final = 64
_STATE: Final = "rate"

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Rate:
    """What the answer's headers say."""

    limit: int
    remaining: int
    reset_seconds: int

    @classmethod
    def of(cls, allowance: Allowance, standing: Standing) -> "Rate":
        """Return what is left of an allowance; nothing once the day's is used up."""
        left = 0 if standing.day_spent else standing.remaining
        return cls(allowance.per_minute, left, math.ceil(standing.reset_seconds))


async def take(scope: Scope, resources: Resources, tenant: Allowance | None = None) -> None:
    """Count a request for its client's address, and for its tenant if that is known.

    Raises
    ------
    RateLimited
        Too many requests in a minute.
    QuotaExceeded
        The tenant's requests of the day are used up.
    """
    address = _address_allowance(scope, resources)
    allowances = (address,) if tenant is None else (address, tenant)
    verdict = await resources.limiter.take(*allowances)
    shown = len(allowances) - 1 if verdict.refusing is None else verdict.refusing
    rate = Rate.of(allowances[shown], verdict.standings[shown])
    scope["state"][_STATE] = rate
    if verdict.refusing is None:
        return
    standing = verdict.standings[shown]
    if standing.day_spent:
        raise _quota_exceeded(allowances[shown], standing)
    raise _rate_limited(rate, whose="your address" if shown == 0 else "this account")


def refuse_address(scope: Scope, resources: Resources) -> None:
    """Refuse an address that this process knows to be over its limit, without asking anybody.

    Raises
    ------
    RateLimited
        It is.
    """
    address = _address_allowance(scope, resources)
    seconds = resources.limiter.refused_for(address)
    if seconds is not None:
        rate = Rate(address.per_minute, 0, math.ceil(seconds))
        scope["state"][_STATE] = rate
        raise _rate_limited(rate, whose="your address")


async def settle(scope: Scope, resources: Resources) -> FunctionError | None:
    """Count a request that was answered before anybody did; return the refusal, if that is the answer."""
    if _STATE in scope["state"]:
        return None
    try:
        await take(scope, resources)
    except FunctionError as refusal:
        return refusal
    return None


def headers(scope: Scope) -> Headers:
    """Return the headers of a counted request."""
    rate: Rate | None = scope["state"].get(_STATE)
    if rate is None:
        return []
    return [
        (b"ratelimit-limit", b"%d" % rate.limit),
        (b"ratelimit-remaining", b"%d" % rate.remaining),
        (b"ratelimit-reset", b"%d" % rate.reset_seconds),
    ]


def client_address(scope: Scope, *, trusted_hops: int, trusted_proxies: tuple[Network, ...] = ()) -> str:
    """Return the address a request came from, as the nearest trusted proxies saw it.

    Parameters
    ----------
    trusted_hops
        Proxies in front that each append the address they were asked from to `X-Forwarded-For`; what
        stands before their entries was written by the client and is not believed. 0 believes none.
    trusted_proxies
        Where further proxies are: an entry from there was asked by one of them, whose own entry stands
        before it.

    Returns
    -------
    str
        An IPv4 address, or the /64 network of an IPv6 one, which is what one client commonly has. Of a
        request that came past the proxies, from another function, the peer's with `direct-` before it:
        on a laptop it has the same address as every client.
    """
    peer = scope.get("client")
    nearest = _normal(peer[0]) if peer else _UNKNOWN
    if not trusted_hops:
        return nearest
    lines = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    entries = [entry.strip() for entry in b",".join(lines).decode("latin-1").split(",") if entry.strip()]
    if not entries:
        return f"direct-{nearest}"
    at = max(0, len(entries) - trusted_hops)
    while at and trusted_proxies and _is_within(entries[at], trusted_proxies):
        at -= 1
    return _normal(entries[at])


@lru_cache(maxsize=4096)
def _is_within(text: str, networks: tuple[Network, ...]) -> bool:
    address = _parsed(text)
    return address is not None and any(address in network for network in networks)


@lru_cache(maxsize=4096)
def _normal(text: str) -> str:
    address = _parsed(text)
    if address is None:
        return _UNKNOWN
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((address, _IPV6_SITE), strict=False))


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    bare = text.removeprefix("[").partition("]")[0] if text.startswith("[") else text
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]  # an IPv4 address with a port
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def address_of(scope: Scope, settings: Settings) -> str:
    """Return `client_address` as the settings have it."""
    return client_address(scope, trusted_hops=settings.trusted_hops, trusted_proxies=settings.trusted_proxies)


def _address_allowance(scope: Scope, resources: Resources) -> Allowance:
    settings = resources.settings
    return address_allowance(address_of(scope, settings), settings.ip_requests_per_minute)


def _rate_limited(rate: Rate, *, whose: str) -> RateLimited:
    return RateLimited(
        f"more than {rate.limit} requests per minute from {whose}",
        extra={"limit": rate.limit},
        retry_after_seconds=max(1, rate.reset_seconds),
    )


def _quota_exceeded(allowance: Allowance, standing: Standing) -> QuotaExceeded:
    error = QuotaExceeded(
        f"the {allowance.per_day} API calls of today (UTC) are used up",
        extra={
            "quota": "api_calls_per_day",
            "limit": allowance.per_day,
            "value": standing.calls_today,
            "upgrade_url": UPGRADE_PATH,
        },
    )
    error.retry_after_seconds = max(1, math.ceil(standing.reset_seconds))
    return error
