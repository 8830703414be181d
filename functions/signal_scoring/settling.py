"""Store what became of signals, together with what that adds to the track record."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alphapulse.agents import track_records
from alphapulse.agents.track_records import RecordKey
from alphapulse.domain.instruments import Interval
from alphapulse.domain.outcomes import Claim, Scored, Unscorable, Waiting
from alphapulse.domain.regime import Regime
from alphapulse.domain.signals import Direction
from alphapulse.domain.track_record import TrackRecord
from alphapulse.runtime.work import TenantWork
from functions.signal_scoring.prices import Moment, Prices, sql


@dataclass(frozen=True, slots=True)
class Due:
    """A signal whose horizon has passed, with the moments it is priced at."""

    id: uuid.UUID
    agent: str
    claim: Claim
    made: Moment
    ended: Moment

    @classmethod
    def of(cls, row: Any) -> "Due":
        """Read a row of the query `due`."""
        interval = Interval(row["interval"])
        claim = Claim(
            symbol=row["symbol"],
            interval=interval,
            direction=Direction(row["signal"]),
            confidence=row["confidence"],
            made_at=row["created_at"],
            horizon_at=row["horizon_at"],
        )
        made = Moment.of(claim.symbol, interval, claim.made_at)
        ended = Moment.of(claim.symbol, interval, claim.horizon_at)
        return cls(row["id"], row["agent"], claim, made, ended)

    def key(self, regime: Regime, source: str) -> RecordKey:
        """Return which track record it belongs to."""
        return RecordKey(self.agent, self.claim.symbol, self.claim.interval.value, regime.value, source)


async def settle(
    work: TenantWork,
    prices: Prices,
    scored: Sequence[tuple[Due, Scored]],
    unscorable: Sequence[tuple[Due, Unscorable]],
) -> None:
    """Store scores and reasons, and add those that were stored to the track record."""
    regimes = {one.id: await prices.regime(work.session, one.made) for one, _ in scored}
    stored = await _store_scores(work, scored, regimes) | await _store_reasons(work, unscorable)
    parts: dict[RecordKey, list[TrackRecord]] = {}
    for one, verdict in scored:
        if one.id in stored:
            part = TrackRecord.of_score(one.claim.direction, one.claim.confidence, verdict.score)
            parts.setdefault(one.key(regimes[one.id], verdict.at_horizon.source), []).append(part)
    for one, _ in unscorable:
        if one.id in stored:
            parts.setdefault(one.key(Regime.UNKNOWN, track_records.NO_SOURCE), []).append(
                TrackRecord.of_unscorable()
            )
    sums = {key: TrackRecord.total(records) for key, records in parts.items()}
    await track_records.add(work.session, work.tenant_id, sums, now=work.now)


async def postpone(work: TenantWork, waiting: Sequence[tuple[Due, Waiting]]) -> None:
    """Have those that wait looked at again when it may help."""
    if waiting:
        await sql.postpone(
            work.session,
            tenant_id=work.tenant_id.value,
            ids=[one.id for one, _ in waiting],
            due_at=[verdict.until for _, verdict in waiting],
        )


async def _store_scores(
    work: TenantWork, scored: Sequence[tuple[Due, Scored]], regimes: Mapping[uuid.UUID, Regime]
) -> set[uuid.UUID]:
    if not scored:
        return set()
    verdicts = [verdict for _, verdict in scored]
    rows = sql.settle_scored(
        work.session,
        tenant_id=work.tenant_id.value,
        now=work.now,
        ids=[one.id for one, _ in scored],
        signal_prices=[verdict.at_signal.price for verdict in verdicts],
        signal_prices_at=[verdict.at_signal.closed_at for verdict in verdicts],
        horizon_prices=[verdict.at_horizon.price for verdict in verdicts],
        horizon_prices_at=[verdict.at_horizon.closed_at for verdict in verdicts],
        price_sources=[verdict.at_horizon.source for verdict in verdicts],
        forward_returns=[verdict.score.forward_return for verdict in verdicts],
        hold_bands=[verdict.score.hold_band for verdict in verdicts],
        hits=[verdict.score.hit for verdict in verdicts],
        briers=[verdict.score.brier for verdict in verdicts],
        regimes=[regimes[one.id].value for one, _ in scored],
    )
    return {row["id"] async for row in rows}


async def _store_reasons(work: TenantWork, unscorable: Sequence[tuple[Due, Unscorable]]) -> set[uuid.UUID]:
    if not unscorable:
        return set()
    rows = sql.settle_unscorable(
        work.session,
        tenant_id=work.tenant_id.value,
        now=work.now,
        ids=[one.id for one, _ in unscorable],
        reasons=[verdict.reason for _, verdict in unscorable],
    )
    return {row["id"] async for row in rows}
