"""The exchanges of this process: which there are, and a tenant's account on one."""

from functools import cached_property
from typing import Final

from alphapulse.domain.paper import PaperTerms
from alphapulse.runtime.errors import Invalid
from alphapulse.runtime.resources import Resources
from alphapulse.tenancy.tenant import TenantId
from alphapulse.venues import paper
from alphapulse.venues.protocol import Venue
from alphapulse.venues.tickers import CachedTickers

#: Where orders can be sent.
ORDER_EXCHANGES: Final = frozenset({paper.NAME})


class UnsupportedExchange(Invalid):
    """Orders cannot be sent to the exchange."""

    code = "unsupported_exchange"

    def __init__(self, exchange: str) -> None:
        super().__init__(f"exchange must be {' or '.join(sorted(ORDER_EXCHANGES))}, was {exchange!r}")


class Venues:
    """Builds what talks to an exchange; made once per process."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def account(self, exchange: str, tenant_id: TenantId) -> Venue:
        """Return a tenant's account on an exchange.

        Raises
        ------
        UnsupportedExchange
            There is no adapter for it.
        """
        if exchange != paper.NAME:
            raise UnsupportedExchange(exchange)
        settings = self._resources.settings
        return paper.PaperVenue(
            tenant_id,
            database=self._resources.database,
            tickers=self.tickers,
            source=self._resources.candles,
            clock=self._resources.clock,
            terms=PaperTerms(half_spread_bps=settings.paper_half_spread_bps, fee_bps=settings.paper_fee_bps),
        )

    @cached_property
    def tickers(self) -> CachedTickers:
        """Last prices on the paper exchange."""
        return CachedTickers(
            paper.NAME,
            cache=self._resources.cache.market(),
            source=self._resources.candles,
            clock=self._resources.clock,
        )
