"""Routes of automatic trading: what a tenant allows, and what was decided."""

import datetime as dt
import uuid
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from fastapi import Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.domain.auto_trade import (
    COOLDOWN_SECONDS_BOUNDS,
    MIN_SCORE_BOUNDS,
    ORDERS_PER_DAY_BOUNDS,
    POSITION_PCT_BOUNDS,
    AutoTradeTerms,
)
from alphapulse.domain.instruments import SYMBOL_PATTERN
from alphapulse.domain.money import decimal_text
from alphapulse.market.instruments import unknown_symbols
from alphapulse.runtime.errors import Invalid
from alphapulse.runtime.http import Work, tenant_router
from alphapulse.runtime.work import TenantWork
from functions.agents.pages import Page
from functions.agents.runs import UnknownSymbols
from functions.agents.schemas import Symbol, distinct

PAPER: Final = "paper"

router = tenant_router()
sql = queries.load(__file__, "auto_trading.sql")


class ConfirmationRequired(Invalid):
    """Real money is asked for without saying so."""

    code = "confirmation_required"
    title = "Confirmation required"


class CredentialsMissing(Invalid):
    """There is no working key to the exchange."""

    code = "credentials_missing"
    title = "Credentials missing"


class AutoTradeRequest(BaseModel):
    """New settings; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: Annotated[bool | None, Field(description="true also lifts a halt")] = None
    exchange: Annotated[str | None, Field(pattern=r"^[a-z][a-z0-9_]{1,31}$")] = None
    confirm_real_money: Annotated[
        bool, Field(description="must be true when an exchange other than paper is set")
    ] = False
    symbols: (
        Annotated[
            list[Symbol],
            Field(max_length=100, description="empty: every symbol a consensus is reached on"),
            AfterValidator(distinct),
        ]
        | None
    ) = None
    min_score: (
        Annotated[Decimal, Field(ge=MIN_SCORE_BOUNDS[0], le=MIN_SCORE_BOUNDS[1], decimal_places=6)] | None
    ) = None
    position_pct: (
        Annotated[Decimal, Field(ge=POSITION_PCT_BOUNDS[0], le=POSITION_PCT_BOUNDS[1], decimal_places=2)]
        | None
    ) = None
    cooldown_seconds: (
        Annotated[int, Field(ge=COOLDOWN_SECONDS_BOUNDS[0], le=COOLDOWN_SECONDS_BOUNDS[1])] | None
    ) = None
    max_orders_per_day: (
        Annotated[int, Field(ge=ORDERS_PER_DAY_BOUNDS[0], le=ORDERS_PER_DAY_BOUNDS[1])] | None
    ) = None


class AutoTradeView(BaseModel):
    """Settings in force; version 0 is the product's own, which trades nothing."""

    enabled: bool
    exchange: str
    confirmed_at: dt.datetime | None
    symbols: list[str]
    min_score: str
    position_pct: str
    cooldown_seconds: int
    max_orders_per_day: int
    halted_at: dt.datetime | None
    halt_reason: str | None
    version: int
    updated_at: dt.datetime | None


class DecisionView(BaseModel):
    """What followed from a consensus: an order, or why there is none."""

    id: uuid.UUID
    consensus_id: uuid.UUID
    run_id: uuid.UUID
    symbol: str
    signal: Literal["buy", "sell"]
    score: float
    settings_version: int
    decision: Literal["order", "none"]
    code: str | None
    reason: str | None
    exchange: str
    side: Literal["buy", "sell"] | None
    quantity: str | None
    trade_id: uuid.UUID | None
    trade_status: str | None
    created_at: dt.datetime


class Decisions(BaseModel):
    """A page of decisions, newest first."""

    items: list[DecisionView]
    next_cursor: str | None


@router.get("/agents/auto-trade")
async def get_auto_trade(work: Work) -> AutoTradeView:
    """Return what automatic trading may do; it is off until a tenant switches it on."""
    return _view(await _settings(work))


@router.post("/agents/auto-trade")
async def change_auto_trade(body: AutoTradeRequest, work: Work) -> AutoTradeView:
    """Change what automatic trading may do; on the paper exchange unless real money is confirmed."""
    await sql.lock(work.session, tenant_id=work.tenant_id.value)
    before = await _settings(work)
    asked = body.model_dump(exclude_none=True, exclude={"confirm_real_money"})
    after = before | asked
    await _check(work, body, before=before, after=after)
    if after["exchange"] == PAPER:
        after["confirmed_at"] = None
    elif body.confirm_real_money:
        after["confirmed_at"] = work.now
    await sql.store(
        work.session,
        tenant_id=work.tenant_id.value,
        id=uuid7(),
        user_id=work.principal.user_id,
        now=work.now,
        lift_halt=body.enabled is True,
        **{name: after[name] for name in (*_CHANGEABLE, "confirmed_at")},
    )
    await work.audit("auto_trade.changed", resource_type="auto_trade", details=_audited(asked))
    return _view(await _settings(work))


@router.get("/agents/auto-trade/decisions")
async def decisions(
    work: Work,
    symbol: Annotated[str | None, Query(pattern=SYMBOL_PATTERN)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Decisions:
    """List what was decided on each consensus to buy or sell, with the order that came of it."""
    page = Page.of(limit, cursor)
    found = sql.decisions(work.session, tenant_id=work.tenant_id.value, symbol=symbol, **page.arguments)
    rows, following = page.cut([row async for row in found])
    return Decisions(items=[_decision(row) for row in rows], next_cursor=following)


_OWN_TERMS = AutoTradeTerms()
_OFF: Final[dict[str, Any]] = {
    "version": 0,
    "enabled": False,
    "exchange": PAPER,
    "confirmed_at": None,
    "symbols": [],
    "min_score": _OWN_TERMS.min_score,
    "position_pct": _OWN_TERMS.position_pct,
    "cooldown_seconds": int(_OWN_TERMS.cooldown.total_seconds()),
    "max_orders_per_day": _OWN_TERMS.max_orders_per_day,
    "halted_at": None,
    "halt_reason": None,
    "updated_at": None,
}
_CHANGEABLE: Final = (
    "enabled",
    "exchange",
    "symbols",
    "min_score",
    "position_pct",
    "cooldown_seconds",
    "max_orders_per_day",
)


async def _settings(work: TenantWork) -> dict[str, Any]:
    row = await sql.settings(work.session, tenant_id=work.tenant_id.value)
    return dict(_OFF) if row is None else dict(row)


async def _check(
    work: TenantWork, body: AutoTradeRequest, *, before: dict[str, Any], after: dict[str, Any]
) -> None:
    if body.symbols:
        unknown = await unknown_symbols(work.session, body.symbols)
        if unknown:
            raise UnknownSymbols(unknown)
    exchange = after["exchange"]
    if exchange == PAPER or (exchange == before["exchange"] and body.exchange is None):
        return
    from alphapulse.trading.venues import ORDER_EXCHANGES, UnsupportedExchange  # noqa: PLC0415 - rarely needed

    if exchange not in ORDER_EXCHANGES:
        raise UnsupportedExchange(exchange)
    if not await sql.has_key(work.session, tenant_id=work.tenant_id.value, exchange=exchange):
        raise CredentialsMissing(f"there is no working key to {exchange}; store one under /credentials")
    if not body.confirm_real_money:
        raise ConfirmationRequired(
            f"orders on {exchange} use real money: send confirm_real_money with the exchange"
        )


def _audited(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: decimal_text(v) if isinstance(v, Decimal) else v for name, v in asked.items()}


def _view(settings: dict[str, Any]) -> AutoTradeView:
    amounts = {name: decimal_text(settings[name]) for name in ("min_score", "position_pct")}
    return AutoTradeView(**(settings | amounts))


def _decision(row: Any) -> DecisionView:
    return DecisionView(
        code=row["refusal_code"] or row["reason_code"],
        reason=row["refusal"] or row["reason"],
        score=float(row["score"]),
        quantity=None if row["quantity"] is None else decimal_text(row["quantity"]),
        **{
            name: row[name]
            for name in DecisionView.model_fields.keys() - {"code", "reason", "score", "quantity"}
        },
    )
