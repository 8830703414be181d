from dataclasses import replace
from decimal import Decimal

import pytest

from alphapulse.domain.limits import InvalidLimits, RiskLimits, default_limits, validate_limits


def test_defaults_are_those_of_the_product() -> None:
    assert default_limits(max_leverage=Decimal(2)) == RiskLimits(
        max_position_pct=Decimal("0.20"),
        max_leverage=Decimal(2),
        daily_loss_pct=Decimal("0.05"),
        max_drawdown_pct=Decimal("0.20"),
        var_warning_pct=Decimal("0.05"),
        price_max_age_seconds=30,
        max_open_positions=None,
    )


@pytest.mark.parametrize(
    "name", ["max_position_pct", "daily_loss_pct", "max_drawdown_pct", "var_warning_pct"]
)
@pytest.mark.parametrize("share", ["0", "-0.1", "1.01"])
def test_share_outside_its_bounds_is_refused(name: str, share: str) -> None:
    limits = replace(RiskLimits(), **{name: Decimal(share)})

    with pytest.raises(InvalidLimits, match=f"{name} must be above 0 and at most 1, was {share}"):
        validate_limits(limits, max_leverage=Decimal(1))


def test_leverage_beyond_the_tier_is_refused() -> None:
    validate_limits(RiskLimits(max_leverage=Decimal(2)), max_leverage=Decimal(2))
    with pytest.raises(InvalidLimits, match=r"max_leverage must be above 0 and at most 2 .*, was 2\.5"):
        validate_limits(RiskLimits(max_leverage=Decimal("2.5")), max_leverage=Decimal(2))


@pytest.mark.parametrize("seconds", [0, 301])
def test_price_age_outside_its_bounds_is_refused(seconds: int) -> None:
    with pytest.raises(InvalidLimits, match="price_max_age_seconds must be 1 to 300"):
        validate_limits(RiskLimits(price_max_age_seconds=seconds), max_leverage=Decimal(1))


def test_open_positions_below_one_are_refused() -> None:
    with pytest.raises(InvalidLimits, match="max_open_positions must be at least 1"):
        validate_limits(RiskLimits(max_open_positions=0), max_leverage=Decimal(1))
