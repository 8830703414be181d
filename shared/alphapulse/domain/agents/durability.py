"""How durable a network is, and how wide its moat: components of the buffett agent.

Durability:

- uptime: percentage of known days with activity; +1 at 100, 0 at ``uptime_fair_pct``, on one straight line;
- age: years since the first activity in the history, ``2 years / age_full_years - 1``;
- recoveries: between two highs lies an episode; one that fell by ``deep_drawdown_pct`` or more tested the
  network. Highs regained after deep falls, less one when the present deep fall lasts longer than
  ``recovery_patience_days``; ``/ recoveries_full``. The newest day is not part of it.

Moat, of users (active addresses) and of fees (USD), by the medians of years of 365 days counted back from
the newest day, of which at least half must be known:

- level: newest year / best year; +1 at 1, 0 at ``moat_fair_share``, -1 at 0, straight;
- trend: growth a year from the oldest to the newest of the last ``moat_years``,
  ``ln(newest / oldest) / years / ln(1 + moat_full_growth_pct / 100)``.

References
----------
B. Metcalfe, Metcalfe's Law after 40 Years of Ethernet, Computer 46, 2013 (users as a network's value).
B. Mandelbrot, The Fractal Geometry of Nature, 1982, and N. Taleb, Antifragile, 2012 (the Lindy effect: what
has lasted long lasts long). W. Buffett, letter to the shareholders of Berkshire Hathaway, 1995 (moats).
"""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from alphapulse.domain.agents.buffett_parameters import BuffettParameters
from alphapulse.domain.agents.components import Absence, Component, between, readable
from alphapulse.domain.agents.evidence import unit
from alphapulse.domain.agents.history import History
from alphapulse.domain.agents.robust import known, yearly_medians
from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.signals import SignalInput

_PERCENT: Final = 100.0
_DAYS_OF_YEAR: Final = 365.25
_LEAST_YEARS: Final = 2


def uptime(activity: History | str, parameters: BuffettParameters) -> Component | Absence:
    """Judge a network by the share of days on which it was used."""
    if isinstance(activity, str):
        return Absence("uptime", activity)
    days = known(activity.values)
    percent = _PERCENT * float(np.count_nonzero(days)) / len(days)
    fair = parameters.uptime_fair_pct
    reason = f"uptime: {activity.name} on {percent:.2f} % of {len(days)} days, fair is {fair:g} %"
    score = unit((percent - fair) / (_PERCENT - fair))
    return Component("uptime", score, reason, (_input(activity, "uptime_pct", percent),))


def age(activity: History | str, parameters: BuffettParameters) -> Component | Absence:
    """Judge a network by how long it has been used."""
    if isinstance(activity, str):
        return Absence("age", activity)
    used = np.flatnonzero(activity.values > 0.0)
    years = (len(activity.values) - int(used[0])) / _DAYS_OF_YEAR if len(used) else 0.0
    full = parameters.age_full_years
    reason = f"age: {activity.name} for {years:.1f} years, {full:g} count in full"
    score = unit(2.0 * years / full - 1.0)
    return Component("age", score, reason, (_input(activity, "age_years", years),))


def recoveries(price: History, parameters: BuffettParameters) -> Component | Absence:
    """Judge a network by the deep falls of its price from which it came back."""
    before = price.values[:-1]
    places = np.flatnonzero(before > 0.0)
    if not len(places):
        return Absence("recoveries", "price_usd has no figure before the newest")
    regained, waiting = _episodes(before[places], places, parameters.deep_drawdown_pct / _PERCENT)
    failed = waiting > parameters.recovery_patience_days
    deep = parameters.deep_drawdown_pct
    reason = f"{regained} deep falls of {deep:g} % or more were recovered from"
    if waiting:
        lasts = ", which is too long" if failed else ""
        reason += f", the present one lasts {waiting} days{lasts}"
    score = unit((regained - failed) / parameters.recoveries_full)
    return Component("recoveries", score, reason, (_input(price, "recoveries", regained),))


def moat(name: str, history: History | str, parameters: BuffettParameters) -> Iterator[Component | Absence]:
    """Judge a moat by its level, then by its growth over years."""
    if isinstance(history, str):
        yield Absence(f"{name}_level", history)
        yield Absence(f"{name}_trend", history)
        return
    years = yearly_medians(history.values)
    yield _level(name, history, years, parameters)
    yield _trend(name, history, years[-parameters.moat_years :], parameters)


def _level(
    name: str, history: History, years: FloatArray, parameters: BuffettParameters
) -> Component | Absence:
    found = known(years)
    if len(found) < _LEAST_YEARS or not math.isfinite(years[-1]) or np.max(found) <= 0:
        return Absence(f"{name}_level", f"{history.name} has no two years to compare, the newest included")
    newest, best = float(years[-1]), float(np.max(found))
    share, fair = newest / best, parameters.moat_fair_share
    reason = (
        f"{history.name}: the newest year's median {newest:.6g} is {share:.0%} of the best year's, "
        f"fair is {fair:.0%}"
    )
    inputs = (_input(history, f"{history.name}_year_median", newest),)
    score = between(-share, best=-1.0, fair=-fair, worst=0.0)
    return Component(f"{name}_level", score, reason, inputs, _part(years, parameters))


def _trend(
    name: str, history: History, years: FloatArray, parameters: BuffettParameters
) -> Component | Absence:
    places = np.flatnonzero(years > 0.0)
    if len(places) < _LEAST_YEARS or places[-1] != len(years) - 1:
        return Absence(f"{name}_trend", f"{history.name} has no two years to grow between")
    first, last = int(places[0]), int(places[-1])
    growth = math.log(float(years[last]) / float(years[first])) / (last - first)
    reason = (
        f"{history.name} grew by {_PERCENT * math.expm1(growth):+.3g} % a year over {last - first} years, "
        f"{parameters.moat_full_growth_pct:g} % counts in full"
    )
    inputs = (_input(history, f"{history.name}_growth_pct_a_year", _PERCENT * math.expm1(growth)),)
    score = unit(growth / math.log1p(parameters.moat_full_growth_pct / _PERCENT))
    return Component(f"{name}_trend", score, reason, inputs, _part(years, parameters))


def _episodes(prices: FloatArray, places: NDArray[np.intp], deep: float) -> tuple[int, int]:
    """Count regained highs after deep falls, and days since the last high when the present fall is deep."""
    highs = np.maximum.accumulate(prices)
    starts = np.flatnonzero(prices >= highs)
    worst = np.maximum.reduceat(1.0 - prices / highs, starts)
    waiting = int(places[-1] - places[starts[-1]]) if worst[-1] >= deep else 0
    return int(np.count_nonzero(worst[:-1] >= deep)), waiting


def _part(years: FloatArray, parameters: BuffettParameters) -> float:
    return min(1.0, len(known(years)) / parameters.moat_years)


def _input(history: History, name: str, value: float) -> SignalInput:
    return SignalInput(name, readable(value), history.as_of, history.source)
