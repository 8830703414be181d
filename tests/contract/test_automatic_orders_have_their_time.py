"""Deliveries about automatic orders are repeated for as long as such an order may still be placed."""

import datetime as dt
from pathlib import Path

import pytest
import yaml

from alphapulse.domain.auto_trade import ORDER_LIFETIME
from alphapulse_broker.delivery import DeliverySpec

TRIGGERS = Path(__file__).parents[2] / "eventing" / "triggers"


@pytest.mark.parametrize("file", ["auto-trade.yaml", "trade.yaml"])
def test_deliveries_are_repeated_until_an_order_is_too_late(file: str) -> None:
    [trigger] = yaml.safe_load_all((TRIGGERS / file).read_text())
    delivery = DeliverySpec(**trigger["spec"]["delivery"])

    waits = [delivery.backoff(retry, None) for retry in range(1, delivery.retries + 1)]

    assert sum(waits, dt.timedelta()) >= ORDER_LIFETIME
