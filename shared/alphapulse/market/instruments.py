"""Which instruments there are."""

from collections.abc import Sequence
from dataclasses import dataclass

from alphapulse.data.session import Session
from alphapulse.domain.instruments import Instrument
from alphapulse.market.series import PAPER
from alphapulse.market.statements import sql


@dataclass(frozen=True, slots=True)
class ListedInstrument:
    """An instrument's rules, whether it is traded, and where they come from."""

    instrument: Instrument
    status: str
    source: str


async def instruments(
    session: Session, *, after: str = "", limit: int = 500, exchange: str = PAPER
) -> list[ListedInstrument]:
    """Return instruments in alphabetical order, from the one that follows `after`."""
    rows = sql.instruments(session, exchange=exchange, after=after, row_limit=limit)
    return [
        ListedInstrument(
            Instrument(row["symbol"], lot=row["lot"], tick=row["tick"], min_notional=row["min_notional"]),
            status=row["status"],
            source=row["source"],
        )
        async for row in rows
    ]


async def unknown_symbols(session: Session, symbols: Sequence[str], *, exchange: str = PAPER) -> list[str]:
    """Return those symbols that are not traded, in the order given."""
    rows = sql.known_symbols(session, exchange=exchange, symbols=list(symbols))
    known = {row["symbol"] async for row in rows}
    return [symbol for symbol in symbols if symbol not in known]
