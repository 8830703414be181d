"""The names of supply figures."""

import datetime as dt
import math
from collections.abc import Mapping
from typing import Final

from alphapulse.domain.signals import SignalInput

PRICE: Final = "price_usd"
MARKET_CAP: Final = "market_cap_usd"
CIRCULATING: Final = "circulating_supply"
MAX_SUPPLY: Final = "max_supply"
VOLUME: Final = "volume_24h_usd"
TOP_10: Final = "top_10_holder_share"
TOP_100: Final = "top_100_holder_share"

NAMES: Final = (PRICE, MARKET_CAP, CIRCULATING, MAX_SUPPLY, VOLUME, TOP_10, TOP_100)
#: Between 0 and 1.
SHARES: Final = (TOP_10, TOP_100)


def inputs(values: Mapping[str, float], *, as_of: dt.datetime, source: str) -> dict[str, SignalInput]:
    """Return figures with their source; one that is not finite is left out.

    Parameters
    ----------
    values
        By name.
    as_of
        When they were true; aware, UTC.
    source
        Where they come from.
    """
    return {
        name: SignalInput(name, float(value), as_of, source)
        for name, value in values.items()
        if math.isfinite(value)
    }
