"""Prices come from the test's own candle files."""

import pytest

from alphapulse.runtime.settings import Settings
from tests.function.conftest import Market


@pytest.fixture
async def function_settings(function_settings: Settings, market: Market) -> Settings:
    await market.price("BTC-USDT", "50000")
    await market.price("ETH-USDT", "2000")
    return function_settings.replace(market_data_dir=market.directory)
