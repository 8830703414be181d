"""Why an order is not placed.

Invalid (422)
+-- UnknownSymbol, UnsupportedQuoteCurrency, UnsupportedOrderType
+-- InvalidQuantity, InvalidPrice, BelowMinNotional
`-- InsufficientBalance, InsufficientPosition
NotPermitted (403)
+-- RiskLimitExceeded        names limit, value, bound
`-- RequestExpired
DependencyDown (503)
`-- PriceStale, PriceUnavailable
Conflict (409)
`-- RequestInProgress, OrderNotOpen
"""

from alphapulse.domain.limits import LimitBreach
from alphapulse.runtime.errors import Conflict, DependencyDown, FunctionError, Invalid, NotPermitted
from alphapulse.trading.trades import optional_text


class UnknownSymbol(Invalid):
    """The exchange does not trade the symbol."""

    code = "unknown_symbol"


class UnsupportedQuoteCurrency(Invalid):
    """The account cannot settle in the symbol's quote currency."""

    code = "unsupported_quote_currency"


class UnsupportedOrderType(Invalid):
    """Orders of this type are not taken."""

    code = "unsupported_order_type"


class InvalidQuantity(Invalid):
    """Nothing is left of the quantity once it is rounded down to the lot."""

    code = "invalid_quantity"


class InvalidPrice(Invalid):
    """A price is missing, out of place, or below the tick."""

    code = "invalid_price"


class BelowMinNotional(Invalid):
    """Quantity times price is less than the exchange takes."""

    code = "below_min_notional"


class InsufficientBalance(Invalid):
    """There is not enough cash beside what open orders may cost."""

    code = "insufficient_balance"


class InsufficientPosition(Invalid):
    """There is not enough to sell beside what open orders take."""

    code = "insufficient_position"


class RiskLimitExceeded(NotPermitted):
    """A risk limit would be exceeded, or cannot be evaluated."""

    code = "risk_limit_exceeded"
    title = "Risk limit exceeded"


class RequestExpired(NotPermitted):
    """The order was to be placed by a moment that has passed."""

    code = "request_expired"
    title = "Request expired"


class PriceStale(DependencyDown):
    """The newest price is too old to take new exposure on."""

    code = "price_stale"
    title = "Price stale"


class PriceUnavailable(DependencyDown):
    """There is no price at the moment."""

    code = "price_unavailable"
    title = "Price unavailable"


class RequestInProgress(Conflict):
    """The first request with this Idempotency-Key has not been answered yet."""

    code = "request_in_progress"
    title = "Request in progress"
    retry_after_seconds = 2


class OrderNotOpen(Conflict):
    """The order has ended otherwise and cannot be cancelled."""

    code = "order_not_open"
    title = "Order not open"


def refusal_of(breach: LimitBreach) -> FunctionError:
    """Return the error that tells a breach: 422, 403, or 503 where only the price is missing."""
    found = {
        "limit": breach.limit,
        "value": optional_text(breach.value),
        "bound": optional_text(breach.bound),
    }
    match breach.limit:
        case "available_quantity":
            return InsufficientPosition(breach.reason, extra=found)
        case "price_age_seconds":
            return PriceStale(breach.reason, extra=found, retry_after_seconds=5)
        case "price":
            return PriceUnavailable(breach.reason, extra=found, retry_after_seconds=5)
        case _:
            return RiskLimitExceeded(breach.reason, extra=found)
