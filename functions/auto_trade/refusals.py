"""What becomes of an order that `trade` refused: it is noted, and a loss limit halts automatic trading."""

import uuid
from typing import Final

from alphapulse.events import Event
from alphapulse.runtime.work import TenantWork
from functions.auto_trade.service import sql

#: Limits that tell of losses: past them only a person decides to go on.
LOSS_LIMITS: Final = frozenset({"daily_loss_pct", "max_drawdown_pct"})


async def on_refused(event: Event, work: TenantWork) -> Event | None:
    """Note why there is no order; reply with a notice when automatic trading was halted for it."""
    data, tenant_id = event.data, work.tenant_id.value
    noted = await sql.refuse(
        work.session,
        tenant_id=tenant_id,
        id=uuid.UUID(data["request_id"]),
        code=data["code"],
        detail=data["detail"],
        now=work.now,
    )
    if noted != "UPDATE 1" or data.get("limit") not in LOSS_LIMITS:
        return None  # not one of ours, or noted before, or no loss
    halted = await sql.halt(work.session, tenant_id=tenant_id, reason=data["detail"], now=work.now)
    if halted != "UPDATE 1":
        return None
    await work.audit(
        "auto_trade.halted",
        resource_type="auto_trade",
        details={"limit": data["limit"], "why": data["detail"]},
    )
    notice = {
        "kind": "auto_trade_halted",
        "recipient": "owner",
        "parameters": {"symbol": data["symbol"], "reason": data["detail"]},
        "dedupe_key": f"auto_trade_halted/{data['request_id']}",
    }
    return work.scope.event("notification.requested", notice)
