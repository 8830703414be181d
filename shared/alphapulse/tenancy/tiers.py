"""What each tier includes. None means unlimited."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import structlog

from alphapulse.tenancy.principal import Tier

logger: structlog.stdlib.BoundLogger = structlog.get_logger()

_MEBIBYTE = 1024 * 1024
_TRIM_PCT = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheQuota:
    """How many bytes a tenant's cached values may take, and from how many on it is told."""

    bytes: int
    alert_at: int

    @property
    def trimmed(self) -> int:
        """What usage comes down to when the quota is passed."""
        return self.bytes * _TRIM_PCT // 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TierLimits:
    """The limits of one tier."""

    agents: int
    open_positions: int | None
    api_calls_per_day: int | None
    requests_per_minute: int
    cache_bytes: int
    cache_alert_pct: int
    max_leverage: Decimal

    @property
    def cache_quota(self) -> CacheQuota:
        """The limit of the cache as what is enforced."""
        return CacheQuota(bytes=self.cache_bytes, alert_at=self.cache_bytes * self.cache_alert_pct // 100)


LIMITS = {
    Tier.STARTER: TierLimits(
        agents=3,
        open_positions=5,
        api_calls_per_day=10_000,
        requests_per_minute=100,
        cache_bytes=100 * _MEBIBYTE,
        cache_alert_pct=80,
        max_leverage=Decimal(1),
    ),
    Tier.PRO: TierLimits(
        agents=6,
        open_positions=25,
        api_calls_per_day=100_000,
        requests_per_minute=500,
        cache_bytes=500 * _MEBIBYTE,
        cache_alert_pct=80,
        max_leverage=Decimal(2),
    ),
    Tier.ENTERPRISE: TierLimits(
        agents=6,
        open_positions=None,
        api_calls_per_day=None,
        requests_per_minute=2_000,
        cache_bytes=2048 * _MEBIBYTE,
        cache_alert_pct=90,
        max_leverage=Decimal(5),
    ),
}

_UNLIMITABLE: Final = frozenset({"open_positions", "api_calls_per_day"})
_COUNTS: Final = _UNLIMITABLE | {"requests_per_minute", "cache_bytes"}


class InvalidOverride(ValueError):
    """An override names no limit, or not a value of it."""


def limits_of(tier: Tier, overrides: Mapping[str, Any]) -> TierLimits:
    """Return a tier's limits with what was agreed with one tenant in place of some of them.

    Parameters
    ----------
    overrides
        `tenant_configs.limit_overrides`: whole numbers by a limit's name, a decimal text for
        `max_leverage`; null for unlimited where a tier may be unlimited.

    Raises
    ------
    InvalidOverride
        Naming the first that is no limit or no value of one.
    """
    if not overrides:
        return LIMITS[tier]
    own: dict[str, Any] = {name: _override(name, value) for name, value in overrides.items()}
    return replace(LIMITS[tier], **own)


def limits_in_force(tier: Tier, overrides: Mapping[str, Any] | None) -> TierLimits:
    """Return `limits_of`, or the tier's own when the stored overrides cannot be read.

    An operator's mistake in one tenant's settings is no reason to turn the tenant away.
    """
    try:
        return limits_of(tier, overrides or {})
    except InvalidOverride as error:
        logger.warning("limit_override_ignored", tier=tier.value, reason=str(error))
        return LIMITS[tier]


def _override(name: str, value: Any) -> int | Decimal | None:
    if value is None and name in _UNLIMITABLE:
        return None
    if name in _COUNTS and isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    if name == "max_leverage" and isinstance(value, str):
        try:
            leverage = Decimal(value)
        except InvalidOperation as error:
            raise InvalidOverride(f"limit override max_leverage must be a decimal, was {value!r}") from error
        if leverage.is_finite() and leverage >= 1:
            return leverage
    raise InvalidOverride(f"limit override {name!r} cannot be {value!r}")
