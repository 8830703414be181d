"""A tier's limits, and what an operator agrees with one tenant instead."""

from decimal import Decimal
from typing import Any

import pytest

from alphapulse.tenancy.principal import Tier
from alphapulse.tenancy.tiers import LIMITS, InvalidOverride, limits_in_force, limits_of


@pytest.mark.parametrize(
    ("tier", "quota", "alert_at"),
    [
        (Tier.STARTER, 104_857_600, 83_886_080),
        (Tier.PRO, 524_288_000, 419_430_400),
        (Tier.ENTERPRISE, 2_147_483_648, 1_932_735_283),
    ],
)
def test_the_cache_quota_and_its_alert_level(tier: Tier, quota: int, alert_at: int) -> None:
    found = LIMITS[tier].cache_quota

    assert (quota, alert_at) == (found.bytes, found.alert_at)
    assert found.trimmed == quota * 9 // 10


def test_an_override_replaces_its_limit_alone() -> None:
    found = limits_of(Tier.PRO, {"requests_per_minute": 7, "api_calls_per_day": None, "max_leverage": "3.5"})

    assert (found.requests_per_minute, found.api_calls_per_day) == (7, None)
    assert found.max_leverage == Decimal("3.5")
    assert (found.open_positions, found.cache_bytes) == (25, LIMITS[Tier.PRO].cache_bytes)


@pytest.mark.parametrize(
    "overrides",
    [
        {"requests_per_minute": 0},
        {"requests_per_minute": None},
        {"requests_per_minute": True},
        {"requests_per_minute": "100"},
        {"cache_bytes": 1.5},
        {"max_leverage": 2},
        {"max_leverage": "NaN"},
        {"max_leverage": "much"},
        {"cache_alert_pct": 50},
        {"colour": 1},
    ],
)
def test_an_override_that_is_no_limit_is_refused_and_the_tiers_own_holds(overrides: dict[str, Any]) -> None:
    with pytest.raises(InvalidOverride):
        limits_of(Tier.STARTER, overrides)

    assert limits_in_force(Tier.STARTER, overrides) == LIMITS[Tier.STARTER]
