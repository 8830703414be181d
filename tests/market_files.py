"""Candle files for tests: the real ones when they are there, else a seeded random walk of the same form."""

import csv
import datetime as dt
import gzip
import os
import random
from pathlib import Path

from tests.processes import ROOT

REAL = Path(os.environ.get("ALPHAPULSE_MARKET_DATA") or ROOT.parent / "shared" / "data")
COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")


def real_files_present() -> bool:
    """Tell whether the real candle files can be used."""
    return (REAL / "BTC-USD_1d.csv.gz").is_file()


def write_random_walk(folder: Path) -> Path:
    """Write `BTC-USD_1d.csv` and a five-minute file with two gaps; return the folder."""
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    _write(folder / "BTC-USD_1d.csv", _bars(start, dt.timedelta(days=1), 500, 30_000.0, seed=1))
    five = _bars(start, dt.timedelta(minutes=5), 600, 0.05, seed=2)
    _write(folder / "ETH-BTC_5m.csv", five[:300] + five[303:500] + five[501:])
    return folder


def read_candles(path: Path) -> list[dict[str, str]]:
    """Return the rows of a candle file, oldest first."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt") as file:
        return sorted(csv.DictReader(file), key=lambda row: row["timestamp"])


def candle_file(folder: Path, name: str) -> Path:
    """Return `<name>.csv` or `<name>.csv.gz`, whichever is there."""
    plain = folder / f"{name}.csv"
    return plain if plain.exists() else folder / f"{name}.csv.gz"


def _bars(start: dt.datetime, step: dt.timedelta, count: int, price: float, *, seed: int) -> list[list[str]]:
    source = random.Random(seed)
    rows = []
    for index in range(count):
        opened, price = price, price * (1 + source.gauss(0.0005, 0.02))
        spread = abs(source.gauss(0, 0.005))
        high, low = max(opened, price) * (1 + spread), min(opened, price) * (1 - spread)
        moment = (start + index * step).isoformat().replace("+00:00", "Z")
        rows.append([moment, *(f"{v:.8f}" for v in (opened, high, low, price, source.uniform(1, 100)))])
    return rows


def _write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
