"""The value agent: whether the market pays more than the holders did and the network's use warrants.

Components, each in [-1, 1]; "straight" means on straight lines from +1 at the cheap threshold through 0 at
the fair one to -1 at the dear one:

- MVRV: market value / realised value (what each coin was worth when it last moved), straight;
- MVRV z-score: (market value - realised value) / standard deviation of market value over the days before
  the newest in ``history_days``, straight;
- NVT percentile: share p of past days on which market value / mean transfer volume of
  ``nvt_smoothing_days`` was lower than now, ``1 - 2 p``;
- dilution: ``100 (1 - circulating / maximum supply)``, the percentage still to be issued; +1 at 0, straight;
- the shares of the ten and of the hundred largest holders in percent; +1 at 0, straight.

Realised value is ``realised_cap_usd``, or market value / ``mvrv`` where a source gives only that. A ratio
that never changes is taken for a broken source. An asset without a maximum, and a source without holders,
leave their components out; confidence falls with the weight that has no data, and the reasons say so. Score
and confidence: :mod:`alphapulse.domain.agents.components`; NaN and zeros as in
:mod:`alphapulse.domain.agents.history`, a zero leaving no ratio.

References
----------
M. Mahmudov, D. Puell, Bitcoin Market-Value-to-Realized-Value (MVRV) Ratio, 2018 (1 and 3.7 as extremes).
N. Carter, A. Le Calvez, realised capitalisation, Coin Metrics, 2018. Awe & Wonder, MVRV Z-score, 2018.
W. Woo 2017 and D. Kalichkin 2018 (NVT). I. Makarov, A. Schoar, Blockchain Analysis of the Bitcoin Market,
NBER 29396, 2021, and A. Sai, J. Buckley, A. Le Gear, Characterizing Wealth Inequality in Cryptocurrencies,
Frontiers in Blockchain 4, 2021 (concentration of holders). L. Liebi, Is There a Value Premium in
Cryptoasset Markets?, Economic Modelling 109, 2022.
"""

import math
from datetime import timedelta
from typing import Final

import numpy as np

from alphapulse.domain.agents.components import Absence, Component, between, combine, readable, too_little
from alphapulse.domain.agents.definition import AgentDefinition
from alphapulse.domain.agents.evidence import Dataset, Evidence, is_ahead, is_stale
from alphapulse.domain.agents.history import History, HistoryReader, aligned
from alphapulse.domain.agents.robust import is_still, known, rank_in
from alphapulse.domain.agents.valuation import NvtHistory, mvrv_history, nvt_history
from alphapulse.domain.agents.value_parameters import ValueParameters
from alphapulse.domain.signals import Abstention, AgentVoice, Signal, SignalInput

AGENT: Final = "value"
AGENT_VERSION: Final = "1.0.0"

_PERCENT: Final = 100.0


def speak(evidence: Evidence, parameters: ValueParameters) -> Signal | Abstention:
    """Judge an asset by what is paid for it.

    Parameters
    ----------
    evidence : Evidence
        Its daily on-chain series up to the last day that had ended by ``now``, and its present supply and
        holder figures.
    parameters : ValueParameters
        Windows, thresholds and weights.

    Returns
    -------
    Signal or Abstention
        An abstention when data for less than ``min_coverage`` of the weight are there, fresh and long
        enough. What is missing is named in the reasons either way.
    """
    voice = AgentVoice(AGENT, evidence.symbol, AGENT_VERSION, evidence.now)
    reader = HistoryReader(
        evidence,
        days=parameters.days_needed,
        least_days=parameters.min_history_days,
        max_age_days=parameters.max_age_days,
    )
    market_cap = reader.read("market_cap_usd")
    mvrv = mvrv_history(market_cap, reader.read("realised_cap_usd"), reader.read("mvrv"))
    nvt = nvt_history(
        market_cap,
        reader.read("transfer_volume_usd"),
        smoothing_days=parameters.nvt_smoothing_days,
        history_days=parameters.history_days,
        least_days=parameters.min_history_days,
    )
    parts = [
        _mvrv(mvrv, parameters),
        _mvrv_z(mvrv, market_cap, parameters),
        _nvt(nvt, parameters),
        _dilution(evidence, parameters),
        _holders(evidence, parameters, "top_10"),
        _holders(evidence, parameters, "top_100"),
    ]
    combined = combine(parts, parameters)
    refusal = too_little(combined, parameters.min_coverage)
    if refusal is not None:
        return voice.abstain(refusal, combined.inputs)
    reasons = combined.reasons + combined.missing
    return voice.signal(combined.score, combined.confidence, reasons=reasons, inputs=combined.inputs)


def _mvrv(mvrv: History | str, parameters: ValueParameters) -> Component | Absence:
    if isinstance(mvrv, str):
        return Absence("mvrv", mvrv)
    ratio = mvrv.newest
    score = between(ratio, best=parameters.mvrv_cheap, fair=parameters.mvrv_fair, worst=parameters.mvrv_dear)
    reason = (
        f"MVRV: the market pays {ratio:.4g} times the realised value, fair is {parameters.mvrv_fair:g}, "
        f"cheap {parameters.mvrv_cheap:g} and dear {parameters.mvrv_dear:g}"
    )
    inputs = (SignalInput("mvrv", readable(ratio), mvrv.as_of, mvrv.source),)
    return Component("mvrv", score, reason, inputs, _share(len(known(mvrv.values)), parameters))


def _mvrv_z(
    mvrv: History | str, market_cap: History | str, parameters: ValueParameters
) -> Component | Absence:
    absent = [item for item in (mvrv, market_cap) if isinstance(item, str)]
    if absent or isinstance(mvrv, str) or isinstance(market_cap, str):
        return Absence("mvrv_z", "; ".join(dict.fromkeys(absent)))
    pair = aligned(market_cap, mvrv)
    # The newest day of one may be a hole or a zero of the other.
    if pair is None or not all(item.newest > 0.0 for item in pair):
        return Absence("mvrv_z", "market_cap_usd and mvrv are not both above 0 on the newest day of both")
    values, ratio = pair[0].values, pair[1].newest
    past = known(values[:-1][-parameters.history_days :])
    if len(past) < parameters.min_history_days:
        return Absence("mvrv_z", f"needs {parameters.min_history_days} days of history, found {len(past)}")
    if is_still(past):
        return Absence("mvrv_z", f"market_cap_usd did not change in {len(past)} days")
    # The newest day is not part of the deviation, so that a higher value is always judged dearer.
    z = float(values[-1]) * (1.0 - 1.0 / ratio) / float(np.std(past))
    score = between(
        z, best=parameters.mvrv_z_cheap, fair=parameters.mvrv_z_fair, worst=parameters.mvrv_z_dear
    )
    reason = (
        f"MVRV z-score: the market value {values[-1]:.4g} USD is {abs(z):.2f} standard deviations of "
        f"{len(past)} days {'above' if z > 0 else 'below'} the realised value"
    )
    inputs = (
        SignalInput("market_cap_usd", readable(float(values[-1])), pair[0].as_of, market_cap.source),
        SignalInput("mvrv_z", readable(z), pair[0].as_of, market_cap.source),
    )
    return Component("mvrv_z", score, reason, inputs, _share(len(past), parameters))


def _nvt(nvt: NvtHistory | str, parameters: ValueParameters) -> Component | Absence:
    if isinstance(nvt, str):
        return Absence("nvt", nvt)
    if is_still(nvt.past_logs):
        return Absence("nvt", f"NVT did not change in {len(nvt.past_logs)} days")
    rank = rank_in(nvt.newest_log, nvt.past_logs)
    reason = (
        f"NVT: the market value is {nvt.newest:.4g} times the {parameters.nvt_smoothing_days}-day mean of "
        f"daily transfers, more than on {rank:.1%} of {len(nvt.past_logs)} days"
    )
    inputs = (nvt.input("nvt_signal", nvt.newest), nvt.input("nvt_percentile", _PERCENT * rank))
    return Component("nvt", 1.0 - 2.0 * rank, reason, inputs, _share(len(nvt.past_logs), parameters))


def _dilution(evidence: Evidence, parameters: ValueParameters) -> Component | Absence:
    circulating = _figure(evidence, "circulating_supply", parameters)
    maximum = _figure(evidence, "max_supply", parameters)
    if isinstance(circulating, str):
        return Absence("dilution", circulating)
    if isinstance(maximum, str):
        return Absence("dilution", maximum)
    if not 0.0 < circulating[0] <= maximum[0]:
        found = f"circulating_supply {circulating[0]:.6g} does not fit max_supply {maximum[0]:.6g}"
        return Absence("dilution", found)
    unissued = _PERCENT * (1.0 - circulating[0] / maximum[0])
    score = between(unissued, best=0.0, fair=parameters.unissued_fair_pct, worst=parameters.unissued_dear_pct)
    reason = (
        f"dilution: {unissued:.2f} % of the maximum supply {maximum[0]:.6g} is still to be issued, "
        f"fair is {parameters.unissued_fair_pct:g} %"
    )
    return Component("dilution", score, reason, (circulating[1], maximum[1]))


def _holders(evidence: Evidence, parameters: ValueParameters, group: str) -> Component | Absence:
    name = f"{group}_holder_share"
    share = _figure(evidence, name, parameters)
    if isinstance(share, str):
        return Absence(group, share)
    if not 0.0 <= share[0] <= 1.0:
        return Absence(group, f"{name} must be a share from 0 to 1, was {share[0]:g}")
    fair, dear = getattr(parameters, f"{group}_fair_pct"), getattr(parameters, f"{group}_dear_pct")
    percent = _PERCENT * share[0]
    score = between(percent, best=0.0, fair=fair, worst=dear)
    number = group.removeprefix("top_")
    reason = f"the {number} largest holders have {percent:.2f} % of the supply, fair is {fair:g} %"
    return Component(group, score, reason, (share[1],))


def _figure(evidence: Evidence, name: str, parameters: ValueParameters) -> tuple[float, SignalInput] | str:
    figure = evidence.supply.get(name)
    if figure is None:
        return evidence.why_figure_missing(Dataset.SUPPLY, name)
    value = figure.value
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return f"{name} is no number"
    if is_ahead(figure.as_of, figure.source, now=evidence.now):
        return f"{name} is dated {figure.as_of.isoformat()}, after the signal"
    max_age = timedelta(hours=parameters.supply_max_age_hours)
    if is_stale(figure.as_of, figure.source, now=evidence.now, max_age=max_age):
        hours = parameters.supply_max_age_hours
        return f"{name} is of {figure.as_of.isoformat()}, more than {hours} hours ago"
    return float(value), figure


def _share(days: int, parameters: ValueParameters) -> float:
    return min(1.0, days / parameters.history_days)


DEFINITION: Final = AgentDefinition(
    name=AGENT,
    version=AGENT_VERSION,
    parameters=ValueParameters,
    reads=frozenset({Dataset.ON_CHAIN, Dataset.SUPPLY}),
    speak=speak,
    bars=lambda _: 0,
    horizon=lambda parameters, _: timedelta(days=parameters.horizon_days),
)
