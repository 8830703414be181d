"""What a portfolio would lose: in days that have been, and under shocks that are made up.

Losses are shares of value, positive for a loss.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.risk.returns import InvalidReturns, NotEnoughObservations, RiskError, asset_returns


@dataclass(frozen=True, slots=True)
class HistoricalWindow:
    """Days that have been, both included."""

    name: str
    first: date
    last: date


#: Falls of the crypto market that are still spoken of, first to last day.
KNOWN_WINDOWS: Final = (
    HistoricalWindow("January 2018, end of the first boom", date(2018, 1, 7), date(2018, 2, 5)),
    HistoricalWindow("November 2018, Bitcoin Cash fork", date(2018, 11, 14), date(2018, 12, 15)),
    HistoricalWindow("March 2020, pandemic", date(2020, 3, 7), date(2020, 3, 13)),
    HistoricalWindow("May 2021, mining ban in China", date(2021, 5, 12), date(2021, 5, 23)),
    HistoricalWindow("May 2022, collapse of Terra", date(2022, 5, 5), date(2022, 5, 12)),
    HistoricalWindow("June 2022, lenders fail", date(2022, 6, 8), date(2022, 6, 18)),
    HistoricalWindow("November 2022, FTX fails", date(2022, 11, 6), date(2022, 11, 10)),
)


@dataclass(frozen=True, slots=True)
class StressLoss:
    """What one scenario would cost.

    Attributes
    ----------
    name : str
        Of the scenario.
    loss : float
        From the beginning to the end of it.
    worst : float
        The deepest point in it, at least `loss` and at least 0.
    missing : tuple of str
        Assets without figures for it, counted as unchanged.
    """

    name: str
    loss: float
    worst: float
    missing: tuple[str, ...] = ()


def replay_window(
    window: HistoricalWindow,
    weights: Mapping[str, float],
    *,
    days: Sequence[date],
    returns: Mapping[str, ArrayLike],
) -> StressLoss:
    """Return what today's positions, left alone, would have lost in a window.

    Parameters
    ----------
    window : HistoricalWindow
        Which days.
    weights : mapping of asset to float
        Shares of value; what is missing to 1 is cash.
    days : sequence of date, length n
        Of the returns, rising.
    returns : mapping of asset to array_like of float, shape (n,)
        Simple returns by day; an asset with a NaN inside the window counts as missing.

    Raises
    ------
    NotEnoughObservations
        No day of the window is known.
    InvalidReturns
        A series has another length than the days.
    """
    inside = np.array([window.first <= day <= window.last for day in days], dtype=bool)
    if not inside.any():
        raise NotEnoughObservations(1, 0)
    present, columns = [], []
    for asset in weights.keys() & returns.keys():
        series = np.asarray(returns[asset], dtype=np.float64)
        if series.shape != inside.shape:
            raise InvalidReturns(f"{asset} has {series.size} returns for {len(days)} days")
        if np.isfinite(series[inside]).all():
            present.append(asset)
            columns.append(series[inside])
    missing = tuple(sorted(weights.keys() - set(present)))
    if not present:
        return StressLoss(window.name, 0.0, 0.0, missing)
    value = _value(np.column_stack(columns), np.array([weights[asset] for asset in present]))
    return StressLoss(window.name, 1.0 - float(value[-1]), max(0.0, 1.0 - float(value.min())), missing)


def worst_window(returns: ArrayLike, weights: ArrayLike, *, periods: int) -> tuple[int, float]:
    """Return where the worst stretch begins, and what it would cost positions that are left alone.

    Parameters
    ----------
    returns : array_like of float, shape (n, n_assets)
    weights : array_like of float, shape (n_assets,)
    periods : int
        Length of the stretch, 1 to n.

    Raises
    ------
    NotEnoughObservations
        There are fewer observations than periods.
    """
    if periods < 1:
        raise RiskError(f"periods must be at least 1, was {periods}")
    found = asset_returns(returns, least=periods)
    share = np.asarray(weights, dtype=np.float64)
    if share.shape != (found.shape[1],) or not np.isfinite(share).all():
        raise InvalidReturns(f"needs one finite weight for each of {found.shape[1]} assets")
    stretches = np.lib.stride_tricks.sliding_window_view(1.0 + found, periods, axis=0)
    changes = (np.prod(stretches, axis=-1) - 1.0) @ share
    start = int(np.argmin(changes))
    return start, -float(changes[start])


def shock(
    name: str,
    weights: Mapping[str, float],
    changes: Mapping[str, float],
    *,
    betas: Mapping[str, float] | None = None,
    market: str | None = None,
) -> StressLoss:
    """Return what changes of prices at one moment would cost.

    Parameters
    ----------
    name : str
        Of the scenario.
    weights : mapping of asset to float
        Shares of value.
    changes : mapping of asset to float
        -0.3 is a fall by 30 %; none below -1.
    betas : mapping of asset to float, optional
        An asset that is not shocked itself moves by its beta times the change of `market`, not below -1.
    market : str, optional
        Which of the shocked assets the betas are to.

    Raises
    ------
    RiskError
        A change is below -1 or not finite, or the market is not shocked.
    """
    for asset, change in changes.items():
        if not math.isfinite(change) or change < -1.0:
            raise RiskError(f"the change of {asset} must be at least -1, was {change}")
    if market is not None and market not in changes:
        raise RiskError(f"the market {market} is not among the changes")
    moved = dict(changes)
    for asset, beta in (betas or {}).items():
        if market is not None and asset not in moved:
            moved[asset] = max(-1.0, beta * changes[market])
    missing = tuple(sorted(weights.keys() - moved.keys()))
    loss = -math.fsum(weights[asset] * moved[asset] for asset in weights.keys() & moved.keys())
    return StressLoss(name, loss, max(loss, 0.0), missing)


def _value(returns: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the value after each period of positions that are left alone, beginning with 1."""
    return np.asarray(1.0 + (np.cumprod(1.0 + returns, axis=0) - 1.0) @ weights)
