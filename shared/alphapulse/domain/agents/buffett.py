"""The buffett agent: a durable network with a moat, bought only well below what it was worth for years.

Price components, each in [-1, 1]:

- margin of safety: the mean is ``M = exp(mean of ln price_usd over mean_days)``, about four years; with
  price p, ``ln(M / p)`` scores +1 at a discount of ``margin_full_pct``, 0 at the mean, -1 at
  ``premium_full`` times it, on straight lines between. The discount is ``100 (1 - p / M)``;
- drawdown: the fall from the highest price in ``history_days``, in percent; -1 at the high, 0 at
  ``drawdown_fair_pct``, +1 at ``drawdown_full_pct``.

The others are of :mod:`alphapulse.domain.agents.durability`: uptime, age and recoveries (durability), level
and growth over years of users and of fees (moat).

Below a discount of ``margin_required_pct`` the score is at most 0, whatever speaks for the network: without
a margin of safety the agent does not buy. It abstains without a multi-year price. Score and confidence:
:mod:`alphapulse.domain.agents.components`; NaN policy: :mod:`alphapulse.domain.agents.history`, and a price
of zero is a hole.

References
----------
B. Graham, The Intelligent Investor, 1949, chapter 20 (margin of safety). W. Buffett, letters to the
shareholders of Berkshire Hathaway, 1986 (owners' earnings) and 1995 (moats). The four-year geometric mean
stands for the 200-week average in use for Bitcoin since about 2017, and does not follow single peaks.
"""

import math
from datetime import timedelta
from typing import Final

import numpy as np

from alphapulse.domain.agents.buffett_parameters import BuffettParameters
from alphapulse.domain.agents.components import Component, between, combine, readable, too_little
from alphapulse.domain.agents.definition import AgentDefinition
from alphapulse.domain.agents.durability import age, moat, recoveries, uptime
from alphapulse.domain.agents.evidence import Dataset, Evidence
from alphapulse.domain.agents.history import History, HistoryReader
from alphapulse.domain.agents.robust import known, logs
from alphapulse.domain.signals import Abstention, AgentVoice, Signal, SignalInput

AGENT: Final = "buffett"
AGENT_VERSION: Final = "1.0.0"

_PERCENT: Final = 100.0


def speak(evidence: Evidence, parameters: BuffettParameters) -> Signal | Abstention:
    """Judge an asset as an owner for years would.

    Parameters
    ----------
    evidence : Evidence
        Its daily on-chain series up to the last day that had ended by ``now``.
    parameters : BuffettParameters
        Windows, thresholds and weights.

    Returns
    -------
    Signal or Abstention
        An abstention without ``min_history_days`` of prices, or when data for less than ``min_coverage`` of
        the weight are there. What is missing is named in the reasons either way.
    """
    voice = AgentVoice(AGENT, evidence.symbol, AGENT_VERSION, evidence.now)
    reader = HistoryReader(
        evidence,
        days=parameters.history_days,
        least_days=parameters.min_history_days,
        max_age_days=parameters.max_age_days,
    )
    price = reader.read("price_usd")
    if isinstance(price, str):
        return voice.abstain(price)
    if price.newest <= 0:
        return voice.abstain("price_usd is zero")
    discount = _discount(price, parameters)
    addresses = reader.read("active_addresses")
    activity = _first(reader.read("transactions"), addresses)
    parts = [
        _margin(price, discount, parameters),
        _drawdown(price, parameters),
        uptime(activity, parameters),
        age(activity, parameters),
        recoveries(price, parameters),
        *moat("addresses", addresses, parameters),
        *moat("fees", reader.read("fees_usd"), parameters),
    ]
    combined = combine(parts, parameters)
    refusal = too_little(combined, parameters.min_coverage)
    if refusal is not None:
        return voice.abstain(refusal, combined.inputs)
    score, verdict = _with_margin(combined.score, discount, parameters)
    reasons = (*combined.reasons, *combined.missing, verdict)
    return voice.signal(score, combined.confidence, reasons=reasons, inputs=combined.inputs)


def _first(preferred: History | str, other: History | str) -> History | str:
    return other if isinstance(preferred, str) and not isinstance(other, str) else preferred


def _discount(price: History, parameters: BuffettParameters) -> float:
    # In natural logarithms: ln(mean / price).
    mean = float(np.mean(known(logs(price.values[-parameters.mean_days :]))))
    return mean - math.log(price.newest)


def _margin(price: History, discount: float, parameters: BuffettParameters) -> Component:
    days = len(known(price.values[-parameters.mean_days :]))
    score = between(
        -discount,
        best=math.log1p(-parameters.margin_full_pct / _PERCENT),
        fair=0.0,
        worst=math.log(parameters.premium_full),
    )
    mean = price.newest * math.exp(discount)
    percent = _PERCENT * math.expm1(-discount)
    reason = (
        f"the price {price.newest:.6g} USD is {abs(percent):.3g} % {'below' if percent < 0 else 'above'} "
        f"its geometric mean {mean:.6g} of {days} days"
    )
    inputs = (
        SignalInput("price_usd", readable(price.newest), price.as_of, price.source),
        SignalInput("price_mean_usd", readable(mean), price.as_of, price.source),
    )
    return Component("margin", score, reason, inputs, days / parameters.mean_days)


def _drawdown(price: History, parameters: BuffettParameters) -> Component:
    highest = float(np.nanmax(price.values))
    fall = _PERCENT * (1.0 - price.newest / highest)
    fair, full = parameters.drawdown_fair_pct, parameters.drawdown_full_pct
    reason = f"the price is {fall:.1f} % below its highest {highest:.6g} USD in {len(price.values)} days"
    inputs = (SignalInput("drawdown_pct", readable(fall), price.as_of, price.source),)
    return Component("drawdown", between(-fall, best=-full, fair=-fair, worst=0.0), reason, inputs)


def _with_margin(score: float, discount: float, parameters: BuffettParameters) -> tuple[float, str]:
    margin, required = -_PERCENT * math.expm1(-discount), parameters.margin_required_pct
    if margin >= required:
        return score, f"the margin of safety is {margin:.3g} %, at least {required:g} % is asked for"
    kept = min(score, 0.0)
    limited = f", which limits the score from {score:.3f} to 0" if kept < score else ""
    found = max(margin, 0.0)
    return kept, f"no margin of safety: {found:.3g} % of the {required:g} % that buying needs{limited}"


DEFINITION: Final = AgentDefinition(
    name=AGENT,
    version=AGENT_VERSION,
    parameters=BuffettParameters,
    reads=frozenset({Dataset.ON_CHAIN}),
    speak=speak,
    bars=lambda _: 0,
    horizon=lambda parameters, _: timedelta(days=parameters.horizon_days),
)
