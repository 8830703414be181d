"""A tenant's order as it is stored and as it is told."""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from alphapulse.domain.money import Money, decimal_text
from alphapulse.domain.orders import Fill, OrderStatus, OrderType, Side, TimeInForce
from alphapulse.venues.protocol import NewOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One row of `trades` with its executions, oldest first."""

    id: uuid.UUID
    client_order_id: str
    exchange: str
    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    price: Decimal | None
    stop_price: Decimal | None
    status: OrderStatus
    filled_quantity: Decimal
    average_price: Decimal | None
    fee: Money
    reason: str | None
    created_at: dt.datetime
    updated_at: dt.datetime
    executions: Sequence[Fill] = ()

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a row of one of the `trade` queries."""
        quote = row["symbol"].partition("-")[2]
        return cls(
            id=uuid.UUID(int=row["id"].int),
            client_order_id=row["client_order_id"],
            exchange=row["exchange"],
            symbol=row["symbol"],
            side=Side(row["side"]),
            type=OrderType(row["type"]),
            time_in_force=TimeInForce(row["time_in_force"]),
            quantity=row["quantity"],
            price=row["price"],
            stop_price=row["stop_price"],
            status=OrderStatus(row["status"]),
            filled_quantity=row["filled_quantity"],
            average_price=row["average_price"],
            fee=Money(row["fee_amount"], row["fee_currency"] or quote),
            reason=row["reason"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            executions=tuple(_execution(record) for record in row["executions"]),
        )

    @property
    def new_order(self) -> NewOrder:
        """What the venue is sent."""
        return NewOrder(
            client_order_id=self.client_order_id,
            symbol=self.symbol,
            side=self.side,
            type=self.type,
            quantity=self.quantity,
            price=self.price,
            time_in_force=self.time_in_force,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the trade as answers and events carry it."""
        return {
            "id": str(self.id),
            "client_order_id": self.client_order_id,
            "exchange": self.exchange,
            "symbol": self.symbol,
            "side": self.side.value,
            "type": self.type.value,
            "time_in_force": self.time_in_force.value,
            "quantity": decimal_text(self.quantity),
            "price": optional_text(self.price),
            "stop_price": optional_text(self.stop_price),
            "status": self.status.value,
            "filled_quantity": decimal_text(self.filled_quantity),
            "average_price": optional_text(self.average_price),
            "fee": _money(self.fee),
            "reason": self.reason,
            "created_at": time_text(self.created_at),
            "updated_at": time_text(self.updated_at),
            "executions": [
                {
                    "id": fill.execution_id,
                    "quantity": decimal_text(fill.quantity),
                    "price": decimal_text(fill.price),
                    "fee": _money(fill.fee),
                    "executed_at": time_text(fill.executed_at),
                }
                for fill in self.executions
            ],
        }


def time_text(moment: dt.datetime) -> str:
    """Write a time as RFC 3339 in UTC."""
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def optional_text(amount: Decimal | None) -> str | None:
    """Write an amount, or None for none."""
    return None if amount is None else decimal_text(amount)


def _money(money: Money) -> dict[str, str]:
    return {"amount": decimal_text(money.amount), "currency": money.currency}


def _execution(record: Mapping[str, Any]) -> Fill:
    return Fill(
        execution_id=record["id"],
        quantity=Decimal(record["quantity"]),
        price=Decimal(record["price"]),
        fee=Money(Decimal(record["fee_amount"]), record["fee_currency"]),
        executed_at=dt.datetime.fromisoformat(record["executed_at"]),
    )
