"""The simulated chain: the same for the same seed, and figures that agree with each other."""

import datetime as dt

import numpy as np
import pytest

from alphapulse.domain.agents.evidence import DailySeries
from alphapulse.domain.instruments import Interval
from alphapulse.providers.candles.simulated import SimulatedCandles
from alphapulse.providers.candles.simulation import ASSETS
from alphapulse.providers.errors import AssetUnknown
from alphapulse.providers.providers import ProviderOptions, Providers, SourceKind
from alphapulse.tenancy.cache import CacheConnection
from tests.provider_counts import Counts

NOW = dt.datetime(2026, 6, 15, 12, 30, 20, tzinfo=dt.UTC)


def simulated(*, now: dt.datetime = NOW, seed: int = 7) -> Providers:
    options = ProviderOptions(kind=SourceKind.SIMULATED, seed=seed)
    return Providers(options, cache=CacheConnection(None), clock=lambda: now, observer=Counts())


def log_moves(series: DailySeries) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.diff(np.log(series.values))


@pytest.mark.parametrize("asset", sorted(ASSETS))
async def test_every_series_is_years_long_without_holes_and_above_zero(asset: str) -> None:
    found = await simulated().on_chain(asset)

    assert len(found) == (10 if asset in ("BTC", "LTC", "DOGE") else 9)
    for name, series in found.items():
        assert series.name == name
        assert series.source == "simulated"
        assert len(series) >= 4 * 366
        assert np.isfinite(series.values).all()
        assert (series.values > 0).all()
        assert series.days[-1] == dt.date(2026, 6, 14)
        steps = {later - day for day, later in zip(series.days, series.days[1:], strict=False)}
        assert steps == {dt.timedelta(days=1)}


@pytest.mark.parametrize("asset", ["BTC", "ETH", "LINK"])
async def test_figures_agree_with_each_other(asset: str) -> None:
    values = {name: series.values for name, series in (await simulated().on_chain(asset)).items()}

    np.testing.assert_allclose(values["market_cap_usd"], values["price_usd"] * values["supply"], rtol=1e-12)
    np.testing.assert_allclose(
        values["mvrv"], values["market_cap_usd"] / values["realised_cap_usd"], rtol=1e-12
    )
    assert (values["transactions"] <= 2 * values["active_addresses"]).all()
    assert (values["transfer_volume_usd"] < values["market_cap_usd"]).all()
    assert (values["fees_usd"] < values["transfer_volume_usd"]).all()


async def test_figures_are_plausible() -> None:
    found = await simulated().on_chain("BTC")

    mvrv = found["mvrv"].values
    assert 0.3 < mvrv.min() < mvrv.max() < 5
    # Around what the value agent takes for fair, so that it neither always buys nor always sells.
    assert 1.4 < np.median(mvrv) < 2.2
    # Realised value moves far more slowly than the market.
    assert log_moves(found["realised_cap_usd"]).std() < 0.3 * log_moves(found["market_cap_usd"]).std()
    assert found["supply"].values.max() <= 21e6
    assert (np.diff(found["supply"].values) >= 0).all()
    assert 1e5 < np.median(found["active_addresses"].values) < 3e6
    assert np.std(np.log(found["active_addresses"].values)) > 0.1


async def test_prices_are_those_of_the_simulated_candles() -> None:
    price = (await simulated(seed=7).on_chain("ETH"))["price_usd"]
    candles = (
        await SimulatedCandles(7, clock=lambda: NOW).candles("ETH-USDT", Interval.DAY, limit=30)
    ).candles

    assert [candle.open_time.date() for candle in candles] == list(price.days[-30:])
    np.testing.assert_allclose([float(candle.close) for candle in candles], price.values[-30:], rtol=1e-4)


async def test_the_same_seed_gives_the_same_and_another_seed_another_network() -> None:
    one, same, other = [(await simulated(seed=seed).on_chain("BTC"))["mvrv"] for seed in (7, 7, 8)]

    assert one.values.tobytes() == same.values.tobytes()
    assert not np.allclose(one.values, other.values)


async def test_history_does_not_change_as_time_goes_on() -> None:
    for name, series in (await simulated().on_chain("BTC")).items():
        later = (await simulated(now=NOW + dt.timedelta(days=40)).on_chain("BTC"))[name]
        assert later.days[:-40] == series.days[40:]
        np.testing.assert_array_equal(later.values[:-40], series.values[40:])


async def test_a_new_day_comes_with_the_clock() -> None:
    now = [NOW]
    options = ProviderOptions(kind=SourceKind.SIMULATED, seed=7)
    providers = Providers(options, cache=CacheConnection(None), clock=lambda: now[0], observer=Counts())
    assert (await providers.on_chain("BTC"))["mvrv"].days[-1] == dt.date(2026, 6, 14)

    now[0] += dt.timedelta(days=1)

    assert (await providers.on_chain("BTC"))["mvrv"].days[-1] == dt.date(2026, 6, 15)


@pytest.mark.parametrize("asset", sorted(ASSETS))
async def test_supply_agrees_with_price_and_chain(asset: str) -> None:
    providers = simulated()
    supply, chain = await providers.supply(asset), await providers.on_chain(asset)
    values = {name: figure.value for name, figure in supply.items()}
    numbers = {name: value for name, value in values.items() if isinstance(value, float)}

    assert numbers["market_cap_usd"] == pytest.approx(numbers["price_usd"] * numbers["circulating_supply"])
    assert numbers["circulating_supply"] == pytest.approx(chain["supply"].values[-1], rel=1e-3)
    assert numbers["circulating_supply"] <= numbers.get("max_supply", np.inf)
    assert 0 < numbers["top_10_holder_share"] < numbers["top_100_holder_share"] < 1
    assert {(figure.source, figure.as_of) for figure in supply.values()} == {
        ("simulated", NOW.replace(second=0))
    }


async def test_the_price_of_supply_is_the_last_close_of_the_candles() -> None:
    supply = await simulated(seed=7).supply("BTC")
    batch = await SimulatedCandles(7, clock=lambda: NOW).candles("BTC-USDT", Interval.MINUTE, limit=1)

    assert supply["price_usd"].value == pytest.approx(float(batch.candles[-1].close), rel=1e-6)


@pytest.mark.parametrize("asset", ["NOPE", "UNIX"])
async def test_an_asset_without_simulated_candles_is_not_simulated(asset: str) -> None:
    for question in (simulated().on_chain, simulated().supply):
        with pytest.raises(AssetUnknown):
            await question(asset)


async def test_there_is_nothing_before_the_simulation_begins() -> None:
    early = simulated(now=dt.datetime(2018, 1, 1, 12, tzinfo=dt.UTC))

    for question in (early.on_chain, early.supply):
        with pytest.raises(AssetUnknown):
            await question("BTC")
