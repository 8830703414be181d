"""Ratios of an asset's market value to what its network does, over its own history."""

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from alphapulse.domain.agents.components import readable
from alphapulse.domain.agents.history import History, aligned
from alphapulse.domain.agents.robust import is_still, known, logs, trailing_means
from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.signals import SignalInput


@dataclass(frozen=True, slots=True, eq=False)
class NvtHistory:
    """Network value to transactions, in natural logarithms.

    Attributes
    ----------
    newest_log : float
        Of the last day.
    past_logs : ndarray of float64
        Of the days before, without holes.
    as_of : datetime
        End of the last day.
    source : str
        Of both series.
    """

    newest_log: float
    past_logs: FloatArray
    as_of: datetime
    source: str

    @property
    def newest(self) -> float:
        """The ratio itself, in days of transfers."""
        return math.exp(self.newest_log)

    def input(self, name: str, value: float) -> SignalInput:
        """Return a figure that was computed from the ratio."""
        return SignalInput(name, readable(value), self.as_of, self.source)


def nvt_history(
    market_cap: History | str,
    transfers: History | str,
    *,
    smoothing_days: int,
    history_days: int,
    least_days: int,
) -> NvtHistory | str:
    """Divide market value by the mean of daily transfers, or say why that cannot be.

    Parameters
    ----------
    market_cap, transfers : History or str
        In the same money; or why there is none.
    smoothing_days : int
        Of the mean of transfers.
    history_days : int
        Days before the last one that are kept.
    least_days : int
        Days before the last one that are needed.
    """
    absent = [item for item in (market_cap, transfers) if isinstance(item, str)]
    if absent or isinstance(market_cap, str) or isinstance(transfers, str):
        return "; ".join(dict.fromkeys(absent))
    pair = aligned(market_cap, transfers)
    if pair is None:
        return f"{market_cap.name} and {transfers.name} have no day in common"
    means = trailing_means(pair[1].values, smoothing_days)
    ratios = logs(pair[0].values[smoothing_days - 1 :]) - logs(means)
    past = known(ratios[:-1][-history_days:])
    if len(past) < least_days:
        return f"NVT needs {least_days} days of history, found {len(past)}"
    if not math.isfinite(ratios[-1]):
        return "NVT has no newest figure, too many days are missing or zero"
    return NvtHistory(float(ratios[-1]), past, pair[0].as_of, joint_source(*pair))


def mvrv_history(
    market_cap: History | str, realised_cap: History | str, mvrv: History | str
) -> History | str:
    """Return market value over realised value, or say why that cannot be.

    Parameters
    ----------
    market_cap, realised_cap : History or str
        In the same money; their ratio is used when both are there.
    mvrv : History or str
        The ratio as a source gives it.
    """
    if isinstance(market_cap, str) or isinstance(realised_cap, str):
        if not isinstance(mvrv, str):
            return mvrv if mvrv.newest > 0 else "mvrv is zero"
        absent = [item for item in (market_cap, realised_cap, mvrv) if isinstance(item, str)]
        return "; ".join(dict.fromkeys(absent))
    pair = aligned(market_cap, realised_cap)
    if pair is None:
        return f"{market_cap.name} and {realised_cap.name} have no day in common"
    value, paid = (item.values for item in pair)
    positive = (value > 0.0) & (paid > 0.0)
    ratios = np.divide(value, paid, out=np.full(len(value), np.nan), where=positive)
    if not positive[-1]:
        return f"{market_cap.name} and {realised_cap.name} are not both above 0 on the newest day"
    if is_still(ratios):
        return f"market over realised value did not change in {len(known(ratios))} days"
    return History("mvrv", joint_source(*pair), ratios, pair[0].last_day, pair[0].as_of)


def joint_source(*histories: History) -> str:
    """Return where figures made from several histories come from."""
    return ", ".join(dict.fromkeys(item.source for item in histories))
