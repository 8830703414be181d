import gzip
import logging
import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from alphapulse.domain.instruments import Interval
from alphapulse.providers.candles import BrokenCandleFile, FileProblem, IntervalUnavailable, UnknownSymbol
from alphapulse.providers.candles.directory import DirectoryCandles

HEADER = "timestamp,open,high,low,close,volume"
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def row(minute: int, close: str = "11", volume: str = "0.5") -> str:
    opened = (START + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{opened},10,12,9,{close},{volume}"


def write(directory: Path, name: str, *rows: str, header: str = HEADER) -> Path:
    text = "\n".join([header, *rows]) + "\n"
    path = directory / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


async def closes(
    source: DirectoryCandles,
    interval: Interval = Interval.MINUTE,
    *,
    limit: int = 500,
    until: datetime | None = None,
) -> list[str]:
    batch = await source.candles("BTC-USD", interval, limit=limit, until=until)
    return [str(candle.close) for candle in batch.candles]


@pytest.mark.parametrize("name", ["BTC-USD_1m.csv", "BTC-USD_1m.csv.gz"])
async def test_file_is_served_plain_or_zipped(tmp_path: Path, name: str) -> None:
    write(tmp_path, name, row(0), row(1))

    batch = await DirectoryCandles(tmp_path).candles("BTC-USD", Interval.MINUTE)

    assert (batch.symbol, batch.interval, batch.source, batch.gaps) == ("BTC-USD", "1m", "directory", ())
    assert [candle.open_time for candle in batch.candles] == [START, START + timedelta(minutes=1)]
    assert batch.candles[0].high == Decimal(12)


async def test_plain_file_counts_where_both_forms_are(tmp_path: Path) -> None:
    write(tmp_path, "BTC-USD_1m.csv.gz", row(0, "10"))
    write(tmp_path, "BTC-USD_1m.csv", row(0, "11"))

    assert await closes(DirectoryCandles(tmp_path)) == ["11"]


async def test_newest_bars_up_to_the_limit_are_served_oldest_first(tmp_path: Path) -> None:
    write(tmp_path, "BTC-USD_1m.csv", row(0, "10"), row(1, "11"), row(2, "12"))

    assert await closes(DirectoryCandles(tmp_path), limit=2) == ["11", "12"]


async def test_only_bars_that_had_closed_are_served(tmp_path: Path) -> None:
    write(tmp_path, "BTC-USD_1m.csv", row(0, "10"), row(1, "11"), row(2, "12"))
    source = DirectoryCandles(tmp_path)

    assert await closes(source, until=START + timedelta(minutes=2)) == ["10", "11"]
    assert await closes(source, until=START + timedelta(seconds=119)) == ["10"]
    assert await closes(source, until=START) == []


async def test_limit_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="limit must be at least 1, was 0"):
        await DirectoryCandles(tmp_path).candles("BTC-USD", Interval.MINUTE, limit=0)


async def test_rows_out_of_order_are_sorted_and_the_last_of_a_repeated_bar_counts(tmp_path: Path) -> None:
    write(tmp_path, "BTC-USD_1m.csv", row(2, "12"), row(0, "9"), row(1, "11"), row(0, "10"))

    assert await closes(DirectoryCandles(tmp_path)) == ["10", "11", "12"]


async def test_missing_bars_are_reported_and_not_filled(tmp_path: Path) -> None:
    write(tmp_path, "BTC-USD_1m.csv", row(0), row(3))

    batch = await DirectoryCandles(tmp_path).candles("BTC-USD", Interval.MINUTE)

    assert len(batch.candles) == 2
    assert [(gap.first_missing, gap.count) for gap in batch.gaps] == [(START + timedelta(minutes=1), 2)]


async def test_coarser_bars_are_made_of_complete_finer_ones(tmp_path: Path) -> None:
    write(tmp_path, "BTC-USD_1m.csv", *(row(minute) for minute in range(15) if minute != 7))
    source = DirectoryCandles(tmp_path)

    batch = await source.candles("BTC-USD", Interval.FIVE_MINUTES)

    assert [candle.open_time.minute for candle in batch.candles] == [0, 10]
    assert batch.candles[0].volume == Decimal("2.5")
    assert batch.gaps[0].count == 1
    assert len(await closes(source, Interval.FIVE_MINUTES, until=START + timedelta(minutes=14))) == 1
    assert len(await closes(source, Interval.FIVE_MINUTES, limit=1)) == 1


async def test_finer_interval_than_the_file_is_refused_naming_what_there_is(tmp_path: Path) -> None:
    write(tmp_path, "BTC-USD_4h.csv", row(0))

    with pytest.raises(IntervalUnavailable, match="no candles of BTC-USD in 1m; available: 4h, 1d"):
        await DirectoryCandles(tmp_path).candles("BTC-USD", Interval.MINUTE)


async def test_unknown_symbol_is_refused(tmp_path: Path) -> None:
    source = DirectoryCandles(tmp_path)

    with pytest.raises(UnknownSymbol, match="no candles of BTC-USD"):
        await source.candles("BTC-USD", Interval.MINUTE)
    with pytest.raises(UnknownSymbol):
        await source.ticker("../../etc/passwd", NOW)


async def test_symbols_are_listed_with_rules_and_intervals(tmp_path: Path) -> None:
    write(tmp_path, "ETH-USD_1h.csv", row(0))
    write(tmp_path, "BTC-USD_1d.csv", row(0))
    (tmp_path / "README.md").write_text("not candles")

    listings = await DirectoryCandles(tmp_path).instruments()

    assert [(item.instrument.symbol, item.intervals) for item in listings] == [
        ("BTC-USD", (Interval.DAY,)),
        ("ETH-USD", (Interval.HOUR, Interval.FOUR_HOURS, Interval.DAY)),
    ]


async def test_ticker_replays_the_last_close_of_the_finest_file_as_of_now(tmp_path: Path) -> None:
    write(tmp_path, "BTC-USD_1d.csv", row(0, "9"))
    write(tmp_path, "BTC-USD_1m.csv", row(0), row(1, "10.004"))

    ticker = await DirectoryCandles(tmp_path).ticker("BTC-USD", NOW)

    assert (ticker.symbol, ticker.source, ticker.as_of) == ("BTC-USD", "directory", NOW)
    assert ticker.bar_open_time == START + timedelta(minutes=1)
    assert (ticker.bid, ticker.price, ticker.ask) == (Decimal("9.99"), Decimal("10.00"), Decimal("10.01"))


async def test_figures_beyond_eighteen_places_are_rounded_half_to_even(tmp_path: Path) -> None:
    write(
        tmp_path,
        "BTC-USD_1m.csv",
        row(0, volume="0.0027500000000000003"),
        row(1, volume="0.1234567890123456785"),
    )

    batch = await DirectoryCandles(tmp_path).candles("BTC-USD", Interval.MINUTE)

    volumes = [candle.volume for candle in batch.candles]
    assert volumes == [Decimal("0.00275"), Decimal("0.123456789012345678")]


BROKEN_ROWS = [
    (row(1, close="NaN"), "close must be a plain decimal number, was 'NaN'"),
    (row(1, close="1e1"), "close must be a plain decimal number, was '1e1'"),
    (row(1, close=""), "close must be a plain decimal number, was ''"),
    (row(1, volume="-1"), "volume must be a plain decimal number, was '-1'"),
    (row(1, close="13"), "high 12 is below open or close"),
    (row(1, close="0"), "low 9 is above open or close"),
    (row(1) + ",7", "must have 6 columns, has 7"),
    ("2026-01-01T00:01:00+01:00,10,12,9,11,1", "timestamp must be RFC 3339 in UTC"),
    ("2026-01-01 00:01:00,10,12,9,11,1", "timestamp must be RFC 3339 in UTC"),
    ("2026-13-01T00:01:00Z,10,12,9,11,1", "month must be in 1..12"),
    ("2026-01-01T00:01:30Z,10,12,9,11,1", "2026-01-01T00:01:30Z is not the open of a bar of 1m"),
]


@pytest.mark.parametrize(("wrong", "message"), BROKEN_ROWS)
async def test_broken_row_is_named_by_file_and_line(tmp_path: Path, wrong: str, message: str) -> None:
    write(tmp_path, "BTC-USD_1m.csv", row(0), "", wrong, row(2))

    with pytest.raises(BrokenCandleFile) as refused:
        await DirectoryCandles(tmp_path).candles("BTC-USD", Interval.MINUTE)

    assert str(refused.value).startswith("BTC-USD_1m.csv, line 4: ")
    assert message in str(refused.value)


async def test_other_columns_are_named_in_line_one(tmp_path: Path) -> None:
    write(tmp_path, "BTC-USD_1m.csv", row(0), header="time,o,h,l,c,v")

    with pytest.raises(
        BrokenCandleFile, match=r"line 1: columns must be timestamp,open.*, were 'time,o,h,l,c,v'"
    ):
        await DirectoryCandles(tmp_path).candles("BTC-USD", Interval.MINUTE)


@pytest.mark.parametrize(
    "content",
    [b"not gzip", gzip.compress(b"timestamp" * 100)[:-9], b"", gzip.compress(b"\xff\xfe")],
    # The bytes hold the time of compression, which differs from one test process to the next.
    ids=["no gzip", "cut off", "empty", "no text"],
)
async def test_file_that_cannot_be_read_is_broken(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "BTC-USD_1m.csv.gz").write_bytes(content)

    with pytest.raises(BrokenCandleFile, match=r"BTC-USD_1m\.csv\.gz"):
        await DirectoryCandles(tmp_path).candles("BTC-USD", Interval.MINUTE)


async def test_file_without_rows_is_broken(tmp_path: Path) -> None:
    write(tmp_path, "BTC-USD_1m.csv")

    with pytest.raises(BrokenCandleFile, match="has no rows"):
        await DirectoryCandles(tmp_path).candles("BTC-USD", Interval.MINUTE)


async def test_broken_and_misnamed_files_are_reported_and_leave_the_others_served(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, "BTC-USD_1m.csv", row(0))
    write(tmp_path, "ETH-USD_1m.csv", row(0, close="x"))
    write(tmp_path, "candles.csv", row(0))
    source = DirectoryCandles(tmp_path)

    with caplog.at_level(logging.WARNING):
        listed = [item.instrument.symbol for item in await source.instruments()]
        problems = await source.problems()

    assert listed == ["BTC-USD"]
    assert await closes(source) == ["11"]
    assert problems == [
        FileProblem("ETH-USD_1m.csv", 2, "close must be a plain decimal number, was 'x'"),
        FileProblem(
            "candles.csv", None, "must be called <SYMBOL>_<interval>.csv or .csv.gz, as in BTC-USD_1d.csv.gz"
        ),
    ]
    assert [record.message for record in caplog.records] == [f"candle file left out: {problems[0]}"]


async def test_good_file_serves_a_symbol_whose_other_file_is_broken(tmp_path: Path) -> None:
    write(tmp_path, "BTC-USD_1m.csv", row(0))
    write(tmp_path, "BTC-USD_1d.csv", row(0, close="x"))

    assert await closes(DirectoryCandles(tmp_path)) == ["11"]


async def test_changed_file_is_read_again_and_an_unchanged_one_is_not(tmp_path: Path) -> None:
    path = write(tmp_path, "BTC-USD_1m.csv", row(0, "10"))
    source = DirectoryCandles(tmp_path)
    assert await closes(source) == ["10"]
    stamp = path.stat().st_mtime_ns

    write(tmp_path, "BTC-USD_1m.csv", row(0, "11"))
    os.utime(path, ns=(stamp, stamp))
    assert await closes(source) == ["10"]

    os.utime(path, ns=(stamp + 1, stamp + 1))
    assert await closes(source) == ["11"]


async def test_file_that_goes_is_no_longer_served(tmp_path: Path) -> None:
    path = write(tmp_path, "BTC-USD_1m.csv", row(0))
    source = DirectoryCandles(tmp_path)
    assert await closes(source) == ["11"]

    path.unlink()

    with pytest.raises(UnknownSymbol):
        await closes(source)


def test_path_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="does not exist"):
        DirectoryCandles(tmp_path / "nowhere")


async def test_real_candles_are_all_readable_with_their_gaps(market_data: Path) -> None:
    source = DirectoryCandles(market_data)

    listed = {item.instrument.symbol for item in await source.instruments()}
    daily = await source.candles("BTC-USD", Interval.DAY, limit=2_000)
    dash = await source.candles("DASH-BTC", Interval.FIVE_MINUTES, limit=10_000)

    assert await source.problems() == []
    assert listed >= {"BTC-USD", "BTC-PERP", "ETH-BTC"}
    assert (len(daily.candles), daily.candles[-1].close) == (1_318, Decimal("6253.67"))
    span = (dash.candles[-1].open_time - dash.candles[0].open_time) // timedelta(minutes=5) + 1
    assert len(dash.candles) + sum(gap.count for gap in dash.gaps) == span
    assert dash.gaps
