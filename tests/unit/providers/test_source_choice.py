"""Which sources the settings choose, and what of the settings is never printed."""

from pathlib import Path

import pytest

from alphapulse.providers.assets import ASSETS, ids_of
from alphapulse.providers.source import SourceKind
from alphapulse.runtime.data_sources import provider_options
from alphapulse.runtime.settings import InvalidSetting, Settings

ADDRESSES = [
    name
    for name in Settings.__dataclass_fields__
    if name.endswith("_url") and name.removesuffix("_url") in provider_options.__globals__["_ADDRESSES"]
]


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({}, SourceKind.LIVE),
        ({"PROVIDER_SOURCE": "live"}, SourceKind.LIVE),
        ({"PROVIDER_SOURCE": "simulated"}, SourceKind.SIMULATED),
        ({"PROVIDER_DATA_DIR": "/data"}, SourceKind.DIRECTORY),
        ({"PROVIDER_DATA_DIR": "/data", "PROVIDER_SOURCE": "simulated"}, SourceKind.DIRECTORY),
    ],
)
def test_a_directory_comes_before_the_named_source(environment: dict[str, str], kind: SourceKind) -> None:
    options = provider_options(Settings.from_environment(environment))

    assert options.kind is kind
    assert options.directory == (Path("/data") if kind is SourceKind.DIRECTORY else None)


def test_another_source_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="PROVIDER_SOURCE"):
        Settings.from_environment({"PROVIDER_SOURCE": "guessed"})


def test_nine_sources_have_an_address_that_can_be_set() -> None:
    assert len(ADDRESSES) == 9


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize(
    "address",
    [
        "http://example.com",
        "http://10.0.0.1:80",
        "https://user:secret@example.com",
        "https://example.com/path",
        "ftp://example.com",
        "https://example.com?key=1",
    ],
)
def test_an_address_in_the_clear_or_with_more_than_a_host_is_refused(name: str, address: str) -> None:
    with pytest.raises(InvalidSetting, match=name.upper()):
        Settings.from_environment({name.upper(): address})


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_address_of_a_test_system_reaches_its_source(name: str) -> None:
    options = provider_options(Settings.from_environment({name.upper(): "http://127.0.0.1:8099"}))

    assert options.addresses == {name.removesuffix("_url"): "http://127.0.0.1:8099"}


def test_keys_reach_their_sources_and_are_never_printed() -> None:
    names = (
        "COIN_METRICS_API_KEY",
        "COINGECKO_API_KEY",
        "ETHPLORER_API_KEY",
        "X_BEARER_TOKEN",
        "TALLY_API_KEY",
    )
    settings = Settings.from_environment({name: f"hush-{name}" for name in names})
    options = provider_options(settings)

    assert options.keys == {
        "coin_metrics": "hush-COIN_METRICS_API_KEY",
        "coingecko": "hush-COINGECKO_API_KEY",
        "ethplorer": "hush-ETHPLORER_API_KEY",
        "x": "hush-X_BEARER_TOKEN",
        "tally": "hush-TALLY_API_KEY",
    }
    assert "hush" not in f"{settings} {options}"


def test_every_asset_has_names_that_fit_into_an_address() -> None:
    for asset, ids in ASSETS.items():
        assert asset.isupper() or asset.isalnum()
        for name in (ids.coin_metrics, ids.coingecko, ids.snapshot_space, ids.tally_organization):
            assert name is None or name.replace("-", "").replace(".", "").replace("_", "").isalnum()
        assert ids.ethereum_contract is None or len(ids.ethereum_contract) == 42


@pytest.mark.parametrize(
    "asset",
    ["BTC", "ETH", "LTC", "DASH", "ETC", "XMR", "SOL", "ADA", "DOT", "LINK", "UNI", "AAVE", "COMP", "MKR"],
)
def test_majors_are_known_to_sources(asset: str) -> None:
    ids = ids_of(asset)

    assert ids.coin_metrics
    assert ids.coingecko
    assert ids.subreddits
    assert ids.x_query


def test_an_asset_that_is_not_listed_is_known_to_nobody() -> None:
    assert ids_of("NOPE").coin_metrics is None
