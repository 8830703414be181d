"""Provider data as JSON and back: nothing is lost, and nothing is read out of what is no such document."""

import datetime as dt
import math
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.agents.evidence import DailySeries, Governance, PostSample, Proposal, ScoredPost
from alphapulse.domain.signals import SignalInput
from alphapulse.providers.documents import (
    GovernanceCodec,
    OnChainCodec,
    PostsCodec,
    SupplyCodec,
    series_document,
)
from alphapulse.providers.on_chain.figures import HISTORY_DAYS, NAMES
from alphapulse.tenancy.cache_namespace import MAX_VALUE_BYTES

NOW = dt.datetime(2026, 6, 15, 12, 30, 0, 123_456, tzinfo=dt.UTC)
FLOATS = st.floats(allow_nan=True, allow_infinity=False)


def through_json(document: Any) -> Any:
    return orjson.loads(orjson.dumps(document))


def daily(values: list[float], name: str = "mvrv") -> DailySeries:
    days = tuple(dt.date(2024, 2, 28) + dt.timedelta(days=2 * n) for n in range(len(values)))
    return DailySeries(name, days, np.array(values, dtype=np.float64), "example", NOW)


@given(st.lists(FLOATS, max_size=50))
def test_a_series_keeps_every_bit_and_every_hole(values: list[float]) -> None:
    series, codec = daily(values), OnChainCodec()

    (again,) = codec.decode(through_json(codec.encode({"mvrv": series}))).values()

    assert (again.name, again.days, again.source, again.retrieved_at) == ("mvrv", series.days, "example", NOW)
    holes = np.isnan(series.values)
    assert np.array_equal(holes, np.isnan(again.values))
    assert again.values[~holes].tobytes() == series.values[~holes].tobytes()
    assert again.values.dtype == np.float64
    assert not again.values.flags.writeable


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_figure_keeps_every_bit(value: float) -> None:
    codec, figures = SupplyCodec(), {"price_usd": SignalInput("price_usd", value, NOW, "example")}

    assert codec.decode(through_json(codec.encode(figures))) == figures


def test_posts_come_back_as_they_were() -> None:
    post = ScoredPost("t3_1", "reddit", "a1", NOW, -0.25, 12.0, "f0", 20, 1, 2)
    sample, codec = PostSample((post, post), "reddit", NOW, {"x": "no key is set for x"}), PostsCodec()

    assert codec.decode(through_json(codec.encode(sample))) == sample


@pytest.mark.parametrize("treasury", [None, daily([1.5, 2.5], "treasury_usd")])
def test_governance_comes_back_as_it_was(treasury: DailySeries | None) -> None:
    proposal = Proposal("p1", NOW, NOW + dt.timedelta(days=3), "passed", 1e9, 2.5, 0.0, None, 812, None)
    other = Proposal("p2", NOW, NOW, "active", 1.0, 2.0, 3.0, 4.0, 5, True)
    value, codec = (
        Governance((proposal, other), 1e9, treasury, "snapshot", NOW, {"tally": "x"}),
        GovernanceCodec(),
    )

    again = codec.decode(through_json(codec.encode(value)))

    assert (again.proposals, again.eligible_votes, again.source) == ((proposal, other), 1e9, "snapshot")
    assert (again.retrieved_at, again.missing) == (NOW, {"tally": "x"})
    assert (again.treasury_usd is None) == (treasury is None)
    if treasury is not None and again.treasury_usd is not None:
        assert again.treasury_usd.days == treasury.days
        assert again.treasury_usd.values.tolist() == treasury.values.tolist()


@pytest.mark.parametrize("codec", [OnChainCodec(), SupplyCodec(), PostsCodec(), GovernanceCodec()])
@pytest.mark.parametrize("document", [7, "x", None, [1], [[1]], {"a": 1}, [{"name": "x"}]])
def test_something_else_is_refused(codec: Any, document: Any) -> None:
    with pytest.raises((LookupError, TypeError, ValueError)):
        codec.decode(document)


def test_a_series_with_more_days_than_values_is_refused() -> None:
    document = OnChainCodec().encode({"mvrv": daily([1.0, 2.0])})
    document["series"][0]["values"] = [1.0]

    with pytest.raises(ValueError, match="one value per day"):
        OnChainCodec().decode(document)


def test_an_infinite_value_is_a_hole() -> None:
    assert series_document(daily([math.inf, 1.0]))["values"] == [None, 1.0]


def test_days_that_series_share_are_kept_once_and_others_apart() -> None:
    codec, long, short = OnChainCodec(), daily([1.0, 2.0], "mvrv"), daily([1.0], "supply")
    series = {"mvrv": long, "price_usd": daily([3.0, 4.0], "price_usd"), "supply": short}

    document = through_json(codec.encode(series))
    again = codec.decode(document)

    assert len(document["calendars"]) == 2
    assert again["mvrv"].days is again["price_usd"].days
    assert {name: one.days for name, one in again.items()} == {name: one.days for name, one in series.items()}
    assert {name: one.values.tolist() for name, one in again.items()} == {
        name: one.values.tolist() for name, one in series.items()
    }


def test_six_years_of_all_figures_fit_into_the_cache() -> None:
    values = np.random.default_rng(7).uniform(1e11, 1e12, HISTORY_DAYS)
    series = {name: daily(list(values / 3), name) for name in NAMES}

    assert len(orjson.dumps(OnChainCodec().encode(series))) < MAX_VALUE_BYTES / 2
