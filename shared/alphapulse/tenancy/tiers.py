"""What each tier includes. None means unlimited."""

from dataclasses import dataclass
from decimal import Decimal

from alphapulse.tenancy.principal import Tier

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TierLimits:
    """The limits of one tier."""

    agents: int
    open_positions: int | None
    api_calls_per_day: int | None
    requests_per_minute: int
    cache_bytes: int
    max_leverage: Decimal


LIMITS = {
    Tier.STARTER: TierLimits(
        agents=3,
        open_positions=5,
        api_calls_per_day=10_000,
        requests_per_minute=100,
        cache_bytes=100 * _MEBIBYTE,
        max_leverage=Decimal(1),
    ),
    Tier.PRO: TierLimits(
        agents=6,
        open_positions=25,
        api_calls_per_day=100_000,
        requests_per_minute=500,
        cache_bytes=500 * _MEBIBYTE,
        max_leverage=Decimal(2),
    ),
    Tier.ENTERPRISE: TierLimits(
        agents=6,
        open_positions=None,
        api_calls_per_day=None,
        requests_per_minute=2_000,
        cache_bytes=2048 * _MEBIBYTE,
        max_leverage=Decimal(5),
    ),
}
