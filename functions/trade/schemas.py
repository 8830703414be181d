"""Requests and answers of `trade`."""

import datetime as dt
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core.core_schema import ValidationInfo

from alphapulse.domain.money import parse_positive
from alphapulse.domain.orders import OrderStatus, OrderType, Side, TimeInForce

_DECIMAL = r"^[0-9]{1,20}(\.[0-9]{1,18})?$"


def _positive(value: Any, info: ValidationInfo) -> Decimal:
    return parse_positive(value, name=info.field_name or "value")


Positive = Annotated[
    Decimal,
    PlainValidator(_positive),
    WithJsonSchema({"type": "string", "pattern": _DECIMAL, "examples": ["0.01"]}),
]


class OrderRequest(BaseModel):
    """An order to be placed; unknown fields are refused, so that a typing error is not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    symbol: Annotated[str, Field(max_length=31, examples=["BTC-USDT"])]
    side: Side
    type: OrderType
    quantity: Positive
    price: Positive | None = None
    stop_price: Positive | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    exchange: Annotated[str, Field(max_length=32)] = "paper"


class FeeView(BaseModel):
    """What the exchange took."""

    amount: str
    currency: str


class ExecutionView(BaseModel):
    """One fill."""

    id: str
    quantity: str
    price: str
    fee: FeeView
    executed_at: dt.datetime


class TradeView(BaseModel):
    """An order and how far it got."""

    id: uuid.UUID
    client_order_id: str
    exchange: str
    symbol: str
    side: Literal["buy", "sell"]
    type: Literal["market", "limit", "stop_limit"]
    time_in_force: Literal["gtc", "ioc", "fok"]
    quantity: str
    price: str | None
    stop_price: str | None
    status: OrderStatus
    filled_quantity: str
    average_price: str | None
    fee: FeeView
    reason: str | None
    created_at: dt.datetime
    updated_at: dt.datetime
    executions: list[ExecutionView]


class TradePage(BaseModel):
    """Trades, newest first."""

    items: list[TradeView]
    next_cursor: str | None


class FailedCancellation(BaseModel):
    """An order that could not be cancelled, and why."""

    id: uuid.UUID
    code: str
    detail: str


class Cancellations(BaseModel):
    """What became of the orders that were open."""

    items: list[TradeView]
    failed: list[FailedCancellation]
