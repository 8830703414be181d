"""Which data sources the settings of a function choose."""

from typing import Final

from alphapulse.providers.source import ProviderOptions, SourceKind
from alphapulse.runtime.settings import Settings

_ADDRESSES: Final = (
    "coin_metrics",
    "blockchain_com",
    "coingecko",
    "ethplorer",
    "reddit",
    "x",
    "snapshot",
    "tally",
    "defillama",
)


def provider_options(settings: Settings) -> ProviderOptions:
    """Return the choice: a directory of files if one is set, else the services or the simulation.

    Parameters
    ----------
    settings
        Of the function.
    """
    addresses = {name: getattr(settings, f"{name}_url") for name in _ADDRESSES}
    keys = {
        "coin_metrics": settings.coin_metrics_api_key,
        "coingecko": settings.coingecko_api_key,
        "ethplorer": settings.ethplorer_api_key,
        "x": settings.x_bearer_token,
        "tally": settings.tally_api_key,
    }
    directory = settings.provider_data_dir
    return ProviderOptions(
        kind=SourceKind(settings.provider_source) if directory is None else SourceKind.DIRECTORY,
        directory=directory,
        seed=settings.simulation_seed,
        addresses={name: address for name, address in addresses.items() if address is not None},
        keys={name: key.reveal() for name, key in keys.items() if key is not None},
    )
