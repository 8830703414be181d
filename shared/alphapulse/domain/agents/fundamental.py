"""The fundamental agent: whether a network is used more than its own past would lead one to expect.

Components, each in [-1, 1]:

- transfer volume (USD), active addresses, transactions, fees (USD): growth of the level
  ``g = ln(mean of the newest smoothing_days / the same growth_days earlier)`` as a robust z-score against
  all earlier growth in ``history_days``; ``z / growth_full_z``, more than usual speaks for buying;
- NVT signal ``ln(market_cap_usd / mean of transfer_volume_usd over nvt_smoothing_days)`` as a robust z-score
  against its past; ``-z / nvt_full_z``, dear against what is transferred speaks for selling;
- inflation ``100 (365 / growth_days) ln(supply / supply growth_days earlier)`` in percent a year, in
  percentage points below the median of its past; ``/ inflation_full_points``. Not a z-score: issuance is a
  rule that hardly varies, and its deviations would make noise of a millionth count in full.

Growth against a network's own past makes networks of any size comparable and takes out what always grows.
Score and confidence: :mod:`alphapulse.domain.agents.components`. NaN, negative and infinite figures are
holes (:mod:`alphapulse.domain.agents.history`); a zero has no logarithm and counts as a hole here. A figure
that never changes, except the supply, is taken for a broken source.

References
----------
W. Woo, Is Bitcoin in a Bubble? Check the NVT Ratio, Forbes, 2017. D. Kalichkin, Rethinking Network Value to
Transactions (NVT) Ratio, 2018 (the 90-day mean, known as the NVT signal).
Y. Liu, A. Tsyvinski, Risks and Returns of Cryptocurrency, Review of Financial Studies 34, 2021 (growth of
addresses and transactions go with returns). L. Cong, G. Karolyi, K. Tang, W. Zhao, Value Premium, Network
Adoption, and Factor Pricing of Crypto Assets, 2021. Robust z-scores: :mod:`alphapulse.domain.agents.robust`.
"""

import math
from datetime import timedelta
from typing import Final

from alphapulse.domain.agents.components import Absence, Component, combine, readable, too_little
from alphapulse.domain.agents.definition import AgentDefinition
from alphapulse.domain.agents.evidence import Dataset, Evidence, unit
from alphapulse.domain.agents.fundamental_parameters import FundamentalParameters
from alphapulse.domain.agents.history import History, HistoryReader
from alphapulse.domain.agents.robust import known, logs, median, robust_z, trailing_means
from alphapulse.domain.agents.valuation import NvtHistory, nvt_history
from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.signals import Abstention, AgentVoice, Signal, SignalInput

AGENT: Final = "fundamental"
AGENT_VERSION: Final = "1.0.0"

#: Components that are growth of an activity, and their series.
_ACTIVITIES: Final = {
    "transfer_volume": "transfer_volume_usd",
    "active_addresses": "active_addresses",
    "transactions": "transactions",
    "fees": "fees_usd",
}
_DAYS_OF_YEAR: Final = 365.0


def speak(evidence: Evidence, parameters: FundamentalParameters) -> Signal | Abstention:
    """Judge an asset by how its network is used.

    Parameters
    ----------
    evidence : Evidence
        Its daily on-chain series up to the last day that had ended by ``now``.
    parameters : FundamentalParameters
        Windows, thresholds and weights.

    Returns
    -------
    Signal or Abstention
        An abstention when series of less than ``min_coverage`` of the weight are there, fresh and long
        enough. What is missing is named in the reasons either way.
    """
    voice = AgentVoice(AGENT, evidence.symbol, AGENT_VERSION, evidence.now)
    if not evidence.on_chain:
        return voice.abstain(evidence.why_missing(Dataset.ON_CHAIN))
    reader = HistoryReader(
        evidence,
        days=parameters.days_needed,
        least_days=parameters.min_history_days,
        max_age_days=parameters.max_age_days,
    )
    activities = {name: reader.read(series) for name, series in _ACTIVITIES.items()}
    parts = [_growth(name, history, parameters) for name, history in activities.items()]
    nvt = nvt_history(
        reader.read("market_cap_usd"),
        activities["transfer_volume"],
        smoothing_days=parameters.nvt_smoothing_days,
        history_days=parameters.history_days,
        least_days=parameters.min_history_days,
    )
    supply = reader.read("supply", may_rest=True)
    combined = combine([*parts, _nvt(nvt, parameters), _inflation(supply, parameters)], parameters)
    refusal = too_little(combined, parameters.min_coverage)
    if refusal is not None:
        return voice.abstain(refusal, combined.inputs)
    reasons = combined.reasons + combined.missing
    return voice.signal(combined.score, combined.confidence, reasons=reasons, inputs=combined.inputs)


def _growth(name: str, history: History | str, parameters: FundamentalParameters) -> Component | Absence:
    if isinstance(history, str):
        return Absence(name, history)
    days = parameters.growth_days
    levels = trailing_means(history.values, parameters.smoothing_days)
    growth = _changes(logs(levels), days)
    past = known(growth[:-1][-parameters.history_days :])
    shortage = _shortage(growth, past, f"{days}-day growth of {history.name}", parameters)
    if shortage is not None:
        return Absence(name, shortage)
    z = robust_z(float(growth[-1]), past)
    if z is None:
        return Absence(name, f"the growth of {history.name} never changed in {len(past)} days")
    level, percent = float(levels[-1]), 100.0 * math.expm1(float(growth[-1]))
    reason = (
        f"{name.replace('_', ' ')}: the {parameters.smoothing_days}-day mean {level:.6g} is {percent:+.3g} % "
        f"over {days} days, {abs(z):.2f} deviations {_side(z)} its usual growth in {len(past)} days"
    )
    inputs = (_input(history, history.name, level), _input(history, f"{history.name}_growth_z", z))
    score = unit(z / parameters.growth_full_z)
    return Component(name, score, reason, inputs, len(past) / parameters.history_days)


def _nvt(nvt: NvtHistory | str, parameters: FundamentalParameters) -> Component | Absence:
    if isinstance(nvt, str):
        return Absence("nvt", nvt)
    z = robust_z(nvt.newest_log, nvt.past_logs)
    if z is None:
        return Absence("nvt", f"NVT never changed in {len(nvt.past_logs)} days")
    reason = (
        f"NVT: the market value is {nvt.newest:.4g} times the {parameters.nvt_smoothing_days}-day mean of "
        f"daily transfers, {abs(z):.2f} deviations {_side(z)} its usual in {len(nvt.past_logs)} days"
    )
    inputs = (nvt.input("nvt_signal", nvt.newest), nvt.input("nvt_signal_z", z))
    score = unit(-z / parameters.nvt_full_z)
    return Component("nvt", score, reason, inputs, len(nvt.past_logs) / parameters.history_days)


def _inflation(supply: History | str, parameters: FundamentalParameters) -> Component | Absence:
    if isinstance(supply, str):
        return Absence("inflation", supply)
    days = parameters.growth_days
    yearly = _changes(logs(supply.values), days) * (100.0 * _DAYS_OF_YEAR / days)
    past = known(yearly[:-1][-parameters.history_days :])
    shortage = _shortage(yearly, past, f"{days}-day growth of supply", parameters)
    if shortage is not None:
        return Absence("inflation", shortage)
    newest, usual = float(yearly[-1]), median(past)
    reason = f"the supply grows by {newest:.3g} % a year, usually by {usual:.3g} % in {len(past)} days"
    inputs = (_input(supply, "supply", supply.newest), _input(supply, "inflation_pct", newest))
    score = unit((usual - newest) / parameters.inflation_full_points)
    return Component("inflation", score, reason, inputs, len(past) / parameters.history_days)


def _changes(levels: FloatArray, days: int) -> FloatArray:
    return levels[days:] - levels[:-days]


def _shortage(
    changes: FloatArray, past: FloatArray, what: str, parameters: FundamentalParameters
) -> str | None:
    if len(past) < parameters.min_history_days:
        return f"{what} needs {parameters.min_history_days} days of history, found {len(past)}"
    if not math.isfinite(changes[-1]):
        return f"{what} has no newest figure, too many days are missing or zero"
    return None


def _side(z: float) -> str:
    return "above" if z > 0 else "below"


def _input(history: History, name: str, value: float) -> SignalInput:
    return SignalInput(name, readable(value), history.as_of, history.source)


DEFINITION: Final = AgentDefinition(
    name=AGENT,
    version=AGENT_VERSION,
    parameters=FundamentalParameters,
    reads=frozenset({Dataset.ON_CHAIN}),
    speak=speak,
    bars=lambda _: 0,
    horizon=lambda parameters, _: timedelta(days=parameters.horizon_days),
)
