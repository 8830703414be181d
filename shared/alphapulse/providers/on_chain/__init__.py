"""Daily on-chain series of base assets.

Coin Metrics' community data for all, blockchain.com's charts for Bitcoin; or files; or a simulation. A series
of one name comes from one source as a whole, which its ``source`` names.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from alphapulse.domain.agents.evidence import DailySeries
from alphapulse.providers.source import Source, SourceContext, SourceKind

__all__ = ["merge", "sources"]

# Of two sources, the one that is asked first is preferred unless it lags this far behind the other.
_LAG: Final = timedelta(days=3)


def sources(context: SourceContext) -> Sequence[Source[Mapping[str, DailySeries]]]:
    """Return the sources of the chosen kind, the preferred one first.

    Parameters
    ----------
    context
        What they are built from.

    Raises
    ------
    alphapulse.providers.errors.NotConfigured
        Files are chosen, and there is no such directory.
    """
    # Each is imported only when chosen.
    match context.options.kind:
        case SourceKind.DIRECTORY:
            from alphapulse.providers.on_chain.files import OnChainFiles  # noqa: PLC0415 - see above

            return (OnChainFiles(context),)
        case SourceKind.SIMULATED:
            from alphapulse.providers.on_chain.simulated import SimulatedOnChain  # noqa: PLC0415

            return (SimulatedOnChain(context),)
        case SourceKind.LIVE:
            from alphapulse.providers.on_chain.blockchain_com import BlockchainCom  # noqa: PLC0415
            from alphapulse.providers.on_chain.coin_metrics import CoinMetrics  # noqa: PLC0415

            return (CoinMetrics(context), BlockchainCom(context))


def merge(
    parts: Sequence[Mapping[str, DailySeries]], missing: Mapping[str, str]
) -> Mapping[str, DailySeries]:
    """Return every series that any source gave, each from one of them.

    Parameters
    ----------
    parts
        Of the sources that answered, in their order.
    missing
        Reasons of the others; the series do not carry them.
    """
    del missing
    merged: dict[str, DailySeries] = {}
    for part in parts:
        for name, series in part.items():
            if name not in merged or _lags(merged[name], series):
                merged[name] = series
    return merged


def _lags(one: DailySeries, other: DailySeries) -> bool:
    if other.as_of is None:
        return False
    return one.as_of is None or other.as_of - one.as_of > _LAG
