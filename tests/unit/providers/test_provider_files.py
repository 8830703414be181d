"""On-chain and supply figures from files: read as documented, and what is wrong told with file and line."""

import datetime as dt
import math
import os
from pathlib import Path

import pytest

from alphapulse.providers.errors import AssetUnknown, BrokenFile, NotConfigured
from alphapulse.providers.providers import ProviderOptions, Providers, SourceKind
from alphapulse.tenancy.cache import CacheConnection
from tests.provider_counts import Counts

NOW = dt.datetime(2026, 6, 15, 12, 30, tzinfo=dt.UTC)


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def providers(tmp_path: Path, counts: Counts) -> Providers:
    options = ProviderOptions(kind=SourceKind.DIRECTORY, directory=tmp_path)
    return Providers(options, cache=CacheConnection(None), clock=lambda: NOW, observer=counts)


def write(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


async def test_a_file_of_days_becomes_series(providers: Providers, tmp_path: Path, counts: Counts) -> None:
    write(
        tmp_path,
        "on_chain/BTC.csv",
        "\ufeffday,price_usd,mvrv, hash_rate\r\n2024-01-01,42000.5,2.1,5e8\r\n\r\n2024-01-03,,2.2,\r\n",
    )

    found = await providers.on_chain("BTC")

    assert found.keys() == {"price_usd", "mvrv", "hash_rate"}
    mvrv = found["mvrv"]
    assert (mvrv.source, mvrv.retrieved_at) == ("directory", NOW)
    assert mvrv.days == (dt.date(2024, 1, 1), dt.date(2024, 1, 3))
    assert mvrv.values.tolist() == [2.1, 2.2]
    assert found["price_usd"].values.tolist() == [42_000.5]
    assert found["hash_rate"].values.tolist() == [5e8]
    assert counts.fetches == {("directory", "on_chain", "ok"): 1}


async def test_series_are_made_once_for_a_file_and_a_day(tmp_path: Path) -> None:
    now = [dt.datetime(2024, 1, 2, 12, tzinfo=dt.UTC)]
    options = ProviderOptions(kind=SourceKind.DIRECTORY, directory=tmp_path)
    providers = Providers(options, cache=CacheConnection(None), clock=lambda: now[0], observer=Counts())
    file = write(tmp_path, "on_chain/BTC.csv", "day,mvrv\n2024-01-01,1\n2024-01-02,2\n")

    first = (await providers.on_chain("BTC"))["mvrv"]
    again = (await providers.on_chain("BTC"))["mvrv"]
    now[0] += dt.timedelta(days=1)
    later = (await providers.on_chain("BTC"))["mvrv"]
    file.write_text("day,mvrv\n2024-01-01,7\n", encoding="utf-8")
    changed = (await providers.on_chain("BTC"))["mvrv"]

    assert again is first
    assert [series.values.tolist() for series in (first, later, changed)] == [[1.0], [1.0, 2.0], [7.0]]


async def test_a_column_without_a_figure_is_no_series(providers: Providers, tmp_path: Path) -> None:
    write(tmp_path, "on_chain/BTC.csv", "day,price_usd,mvrv\n2024-01-01,1,\n")

    assert (await providers.on_chain("BTC")).keys() == {"price_usd"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "BTC.csv line 1: the first column must be day, was ''"),
        ("date,price_usd\n", "BTC.csv line 1: the first column must be day, was 'date'"),
        ("day,price\n", "BTC.csv line 1: unknown column 'price'"),
        ("day,mvrv,mvrv\n", "BTC.csv line 1: must have day and at least one figure, each once"),
        ("day\n2024-01-01\n", "BTC.csv line 1: must have day and at least one figure, each once"),
        ("day,mvrv\n", "BTC.csv: has no rows"),
        ("day,mvrv\n2024-01-01,1,2\n", "BTC.csv line 2: must have 2 columns, has 3"),
        ("day,mvrv\n2024-01-01\n", "BTC.csv line 2: must have 2 columns, has 1"),
        ("day,mvrv\n2024-01-01,1\n01.02.2024,1\n", "BTC.csv line 3: day must be YYYY-MM-DD"),
        ("day,mvrv\n2024-02-30,1\n", "BTC.csv line 2: there is no day 2024-02-30"),
        ("day,mvrv\n2024-01-02,1\n2024-01-02,1\n", "line 3: day 2024-01-02 does not come after 2024-01-02"),
        ("day,mvrv\n2024-01-02,1\n2024-01-01,1\n", "line 3: day 2024-01-01 does not come after 2024-01-02"),
        ("day,mvrv\n2024-01-01,NaN\n", "BTC.csv line 2: mvrv must be a plain number, was 'NaN'"),
        ("day,mvrv\n2024-01-01,-1\n", "BTC.csv line 2: mvrv must be a plain number, was '-1'"),
        ("day,mvrv\n2024-01-01,1e999\n", "BTC.csv line 2: mvrv must be a plain number, was '1e999'"),
        ("day,mvrv\n2024-01-01,much\n", "BTC.csv line 2: mvrv must be a plain number, was 'much'"),
    ],
)
async def test_a_broken_file_of_days_is_told_with_its_line(
    providers: Providers, tmp_path: Path, text: str, complaint: str
) -> None:
    write(tmp_path, "on_chain/BTC.csv", text)

    with pytest.raises(BrokenFile) as caught:
        await providers.on_chain("BTC")

    assert complaint in str(caught.value)
    assert str(caught.value).startswith("on_chain/BTC.csv")
    assert str(tmp_path) not in str(caught.value)


async def test_a_file_that_is_no_text_is_told(providers: Providers, tmp_path: Path) -> None:
    write(tmp_path, "on_chain/BTC.csv", "").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(BrokenFile, match=r"on_chain/BTC.csv: is not text in UTF-8"):
        await providers.on_chain("BTC")


async def test_a_changed_file_holds_at_once_and_a_removed_one_is_gone(
    providers: Providers, tmp_path: Path
) -> None:
    path = write(tmp_path, "on_chain/BTC.csv", "day,mvrv\n2024-01-01,1\n")
    assert (await providers.on_chain("BTC"))["mvrv"].values.tolist() == [1.0]

    path.write_text("day,mvrv\n2024-01-01,2\n", encoding="utf-8")
    os.utime(path, ns=(1, 1))
    assert (await providers.on_chain("BTC"))["mvrv"].values.tolist() == [2.0]

    path.unlink()
    with pytest.raises(AssetUnknown, match=r"there is no data file on_chain/BTC.csv"):
        await providers.on_chain("BTC")


async def test_a_file_of_supply_becomes_figures(providers: Providers, tmp_path: Path) -> None:
    write(
        tmp_path,
        "supply/UNI.json",
        '{"as_of": "2024-01-01T01:00:00+01:00", "market_cap_usd": 5e9,\n "top_10_holder_share": 0.5,'
        ' "max_supply": null}',
    )

    found = await providers.supply("UNI")

    assert {name: figure.value for name, figure in found.items()} == {
        "market_cap_usd": 5e9,
        "top_10_holder_share": 0.5,
    }
    assert {(figure.as_of, figure.source) for figure in found.values()} == {
        (dt.datetime(2024, 1, 1, tzinfo=dt.UTC), "directory")
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "supply/UNI.json line 1: is no JSON"),
        ('{"as_of": "2024-01-01T00:00:00Z",\n "price_usd": }', "supply/UNI.json line 2: is no JSON"),
        ('{"price_usd": NaN}', "supply/UNI.json: NaN is no number in JSON"),
        ("[]", "supply/UNI.json line 1: must be a JSON object, was list"),
        ("{}", "supply/UNI.json: as_of must be a time"),
        ('{\n"as_of": 7}', "supply/UNI.json line 2: as_of must be a time"),
        ('{"as_of": "2024-01-01"}', "supply/UNI.json line 1: as_of needs an offset"),
        ('{"as_of": "2024-01-01T00:00:00Z"}', "supply/UNI.json: has no figures"),
        (
            '{"as_of": "2024-01-01T00:00:00Z",\n\n"price": 1}',
            "supply/UNI.json line 3: unknown figure 'price'",
        ),
        (
            '{"as_of": "2024-01-01T00:00:00Z",\n"price_usd": "1"}',
            "supply/UNI.json line 2: price_usd must be a number of at least 0, was '1'",
        ),
        (
            '{"as_of": "2024-01-01T00:00:00Z",\n"price_usd": -1}',
            "supply/UNI.json line 2: price_usd must be a number of at least 0, was '-1'",
        ),
        (
            '{"as_of": "2024-01-01T00:00:00Z", "top_10_holder_share": 50}',
            "supply/UNI.json line 1: top_10_holder_share must be at most 1, was 50",
        ),
    ],
)
async def test_a_broken_file_of_supply_is_told_with_its_line(
    providers: Providers, tmp_path: Path, text: str, complaint: str
) -> None:
    write(tmp_path, "supply/UNI.json", text)

    with pytest.raises(BrokenFile) as caught:
        await providers.supply("UNI")

    assert complaint in str(caught.value)


async def test_a_directory_that_is_not_there_is_a_reason_to_abstain(tmp_path: Path, counts: Counts) -> None:
    options = ProviderOptions(kind=SourceKind.DIRECTORY, directory=tmp_path / "absent")
    providers = Providers(options, cache=CacheConnection(None), clock=lambda: NOW, observer=counts)

    with pytest.raises(NotConfigured, match="does not exist") as caught:
        await providers.on_chain("BTC")

    assert str(tmp_path) not in str(caught.value)


def test_a_number_of_forty_digits_is_still_finite() -> None:
    assert math.isfinite(float("9" * 40 + "e99"))
