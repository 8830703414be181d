"""Routes of backtests: asking for one, watching it, its result and picture, and giving it up."""

import datetime as dt
import uuid
from typing import Annotated, Any, Final, Literal

from fastapi import Query, Response
from fastapi.responses import JSONResponse
from uuid_utils.compat import uuid7

from alphapulse.backtesting.candles import stored_bars
from alphapulse.backtesting.limits import (
    DEADLINE,
    KEPT,
    LAST_ENDING,
    LIMITS,
    TooLarge,
    require_bars,
    require_within,
)
from alphapulse.backtesting.request import BacktestRequest, InvalidRequest
from alphapulse.data import queries
from alphapulse.market.instruments import unknown_symbols
from alphapulse.market.series import available_intervals
from alphapulse.runtime.errors import Conflict, Invalid, NotFound, QuotaExceeded, RateLimited
from alphapulse.runtime.http import Work, tenant_router
from alphapulse.runtime.work import TenantWork
from functions.agents.backtest_schemas import (
    BacktestAccepted,
    BacktestAsked,
    BacktestItem,
    Backtests,
    BacktestView,
)
from functions.agents.pages import Cursor, Limit, Page
from functions.agents.runs import UnknownSymbols
from functions.agents.settings import settings_in_force

_TOO_LATE: Final = "nobody could take it up in time"
_RETRY_SECONDS: Final = 30

router = tenant_router()
sql = queries.load(__file__, "backtests.sql")


class InvalidBacktest(Invalid):
    """What is asked makes no sense."""

    code = "invalid_backtest"
    title = "Invalid backtest"


class NothingToWalk(Invalid):
    """There are too few candles."""

    code = "no_candles"
    title = "No candles"


class BacktestTooLarge(Invalid):
    """More bars than any backtest may have."""

    code = "backtest_too_large"
    title = "Backtest too large"


class TooManyBacktests(RateLimited):
    """As many as the tier includes are waiting or running."""

    code = "too_many_backtests"
    title = "Too many backtests"


class BacktestNotFound(NotFound):
    """There is no such backtest, or it is another tenant's."""

    code = "backtest_not_found"
    title = "Backtest not found"


class NoPicture(NotFound):
    """A backtest that is not done has no picture."""

    code = "picture_not_found"
    title = "No picture"


class BacktestEnded(Conflict):
    """It has ended, so it cannot be given up."""

    code = "backtest_ended"
    title = "Backtest ended"


@router.post("/agents/backtests", status_code=202)
async def start_backtest(body: BacktestAsked, work: Work) -> BacktestAccepted:
    """Ask for a backtest over stored candles, with the tenant's own settings of the agent by default."""
    request = await _request(work, body)
    await _require_candles(work, request)
    tenant_id = work.tenant_id.value
    await sql.lock(work.session, tenant_id=tenant_id)
    most = LIMITS[work.principal.tier].unfinished
    unfinished = await sql.unfinished(
        work.session, tenant_id=tenant_id, now=work.now, last_ending=LAST_ENDING
    )
    if unfinished >= most:
        raise TooManyBacktests(
            f"{unfinished} backtests are waiting or running, the tier includes {most} at once",
            retry_after_seconds=_RETRY_SECONDS,
        )
    run_id = await _store(work, request)
    return BacktestAccepted(run_id=run_id, status_url=f"/agents/backtests/{run_id}")


@router.get("/agents/backtests")
async def list_backtests(work: Work, limit: Limit = 50, cursor: Cursor = None) -> Backtests:
    """List backtests with their main figures, newest first."""
    page = Page.of(limit, cursor)
    found = sql.runs(work.session, tenant_id=work.tenant_id.value, **page.arguments)
    rows, following = page.cut([row async for row in found])
    return Backtests(items=[BacktestItem(**_item(row, work)) for row in rows], next_cursor=following)


@router.get(
    "/agents/backtests/{backtest_id}",
    response_model=BacktestView,
    responses={
        200: {"content": {"image/png": {}}, "description": "How far it is, and its result or picture"}
    },
)
async def get_backtest(
    backtest_id: uuid.UUID,
    work: Work,
    form: Annotated[Literal["json", "png"], Query(alias="format")] = "json",
) -> Response | BacktestView:
    """Return how far a backtest is, and its result; as `png` the picture of equity and drawdown."""
    if form == "png":
        return await _picture(work, backtest_id)
    row = await sql.run(work.session, tenant_id=work.tenant_id.value, id=backtest_id)
    if row is None:
        raise BacktestNotFound(f"there is no backtest {backtest_id}")
    item = _item(row, work)
    picture_url = f"/agents/backtests/{backtest_id}?format=png" if item["status"] == "done" else None
    view = BacktestView(**item, request=row["request"], result=row["result"], picture_url=picture_url)
    # Written as it is: validating a curve of a thousand points again would change nothing.
    return JSONResponse(view.model_dump(mode="json"))


@router.post("/agents/backtests/{backtest_id}/cancel")
async def cancel_backtest(backtest_id: uuid.UUID, work: Work) -> BacktestItem:
    """Give a backtest up; a worker that walks it stops within seconds."""
    key = {"tenant_id": work.tenant_id.value, "id": backtest_id}
    row = await sql.cancel(work.session, **key, now=work.now)
    if row is not None:
        return BacktestItem(**_item(row, work))
    row = await sql.run(work.session, **key)
    if row is None:
        raise BacktestNotFound(f"there is no backtest {backtest_id}")
    if row["status"] == "cancelled":
        return BacktestItem(**_item(row, work))
    raise BacktestEnded(f"the backtest is {row['status']}", extra={"status": row["status"]})


async def _store(work: TenantWork, request: BacktestRequest) -> uuid.UUID:
    run_id, now, tenant_id = uuid7(), work.now, work.tenant_id.value
    asked = {"agent": request.agent, "symbol": request.symbol, "interval": request.interval.value}
    await sql.trim(work.session, tenant_id=tenant_id, kept=KEPT - 1)
    await sql.insert(
        work.session,
        **asked,
        tenant_id=tenant_id,
        id=run_id,
        request=request.document(),
        created_by=work.principal.user_id,
        deadline_at=now + DEADLINE,
        created_at=now,
    )
    await work.emit(
        "backtest.requested",
        {"run_id": str(run_id), **asked, "requested_at": now.isoformat().replace("+00:00", "Z")},
        correlation_id=str(run_id),
        agent=request.agent,
        symbol=request.symbol,
    )
    return run_id


async def _request(work: TenantWork, body: BacktestAsked) -> BacktestRequest:
    document: dict[str, Any] = body.model_dump(by_alias=True, exclude_none=True)
    if body.parameters is None:
        own = (await settings_in_force(work, work.principal.tier))[body.agent].parameters
        # The length of bars is the request's: a setting only says what a run asks for when it names none.
        document["parameters"] = {name: own[name] for name in own.keys() - {"interval"}}
    try:
        return BacktestRequest.of(document)
    except InvalidRequest as error:
        raise InvalidBacktest(str(error)) from error


async def _require_candles(work: TenantWork, request: BacktestRequest) -> None:
    if await unknown_symbols(work.session, [request.symbol]):
        raise UnknownSymbols([request.symbol])
    bars = await stored_bars(work.session, request)
    if not bars:
        available = await available_intervals(work.session, request.symbol)
        raise NothingToWalk(
            f"there are no candles of {request.symbol} in {request.interval} in the time asked for",
            extra={"available_intervals": available},
        )
    try:
        require_bars(bars)
    except TooLarge as error:
        raise BacktestTooLarge(str(error)) from error
    try:
        require_within(work.principal.tier, request, bars)
    except TooLarge as error:
        raise QuotaExceeded(str(error), extra={"upgrade_url": "/subscription/upgrade"}) from error


async def _picture(work: TenantWork, backtest_id: uuid.UUID) -> Response:
    row = await sql.picture(work.session, tenant_id=work.tenant_id.value, id=backtest_id)
    if row is None:
        raise BacktestNotFound(f"there is no backtest {backtest_id}")
    if row["picture"] is None:
        raise NoPicture(f"the backtest is {row['status']} and has no picture")
    return Response(row["picture"], media_type="image/png")


def _is_late(row: Any, *, now: dt.datetime) -> bool:
    ends = {"waiting": row["deadline_at"], "running": row["deadline_at"] + LAST_ENDING}
    return row["status"] in ends and ends[row["status"]] <= now


def _item(row: Any, work: TenantWork) -> dict[str, Any]:
    late = _is_late(row, now=work.now)
    return {
        "run_id": row["id"],
        "agent": row["agent"],
        "symbol": row["symbol"],
        "interval": row["interval"],
        "status": "failed" if late else row["status"],
        "reason": _TOO_LATE if late else row["reason"],
        "progress": row["progress"],
        "headline": row["headline"],
        "created_at": row["created_at"],
        "started_at": row["started_at"],
        "finished_at": row["finished_at"],
    }
