"""Market value, supply and holders of base assets, as single present figures.

CoinGecko for value and supply, Ethplorer for the holders of Ethereum tokens; or files; or a simulation.
"""

from collections.abc import Mapping, Sequence

from alphapulse.domain.signals import SignalInput
from alphapulse.providers.source import AnySource, SourceContext, SourceKind

__all__ = ["merge", "sources"]


def sources(context: SourceContext) -> Sequence[AnySource[Mapping[str, SignalInput]]]:
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
            from alphapulse.providers.supply.files import SupplyFiles  # noqa: PLC0415 - see above

            return (SupplyFiles(context),)
        case SourceKind.SIMULATED:
            from alphapulse.providers.supply.simulated import SimulatedSupply  # noqa: PLC0415

            return (SimulatedSupply(context),)
        case SourceKind.LIVE:
            from alphapulse.providers.supply.coingecko import CoinGecko  # noqa: PLC0415
            from alphapulse.providers.supply.ethplorer import Ethplorer  # noqa: PLC0415

            return (CoinGecko(context), Ethplorer(context))


def merge(
    parts: Sequence[Mapping[str, SignalInput]], missing: Mapping[str, str]
) -> Mapping[str, SignalInput]:
    """Return every figure that any source gave; of several the first source's.

    Parameters
    ----------
    parts
        Of the sources that answered, in their order.
    missing
        Reasons of the others; the figures do not carry them.
    """
    del missing
    merged: dict[str, SignalInput] = {}
    for part in parts:
        merged = {**part, **merged}
    return merged
