"""The words of crypto markets that VADER's lexicon lacks or takes for something else.

VADER's lexicon was rated by people reading social media at large; in finance a general lexicon takes many
words for the wrong thing (Loughran and McDonald, When Is a Liability Not a Liability?, Journal of Finance
66(1), 2011). The valences here are ours, on VADER's scale from -4 to +4, set by comparison with words of its
own lexicon: *crash* has -1.7, *scam* -2.7, *profit* 1.9, *hacked* -1.7. They say how a holder of the asset
feels, not what a price does next. Each word is in lower case, a phrase is joined by an underscore.
"""

import re
from collections.abc import Mapping
from typing import Final

#: Words that VADER does not know, or knows with another meaning.
VALENCES: Final[Mapping[str, float]] = {
    # Expecting rise or fall.
    "bullish": 2.3,
    "bull": 1.3,
    "bulls": 1.3,
    "bearish": -2.3,
    "bear": -1.0,
    "bears": -1.0,
    "bull_run": 2.3,
    "bull_market": 1.8,
    "bear_market": -1.9,
    "bull_trap": -1.7,
    "bear_trap": 0.9,
    "uptrend": 1.6,
    "downtrend": -1.6,
    "breakout": 1.6,
    "breakdown": -1.6,
    "undervalued": 1.7,
    "overvalued": -1.7,
    "oversold": 0.8,
    "overbought": -0.8,
    "outperform": 1.6,
    "outperforming": 1.6,
    "underperform": -1.5,
    "underperforming": -1.5,
    # Moves.
    "ath": 2.0,
    "all_time_high": 2.0,
    "all_time_low": -2.0,
    "moon": 2.2,
    "mooning": 2.5,
    "to_the_moon": 2.7,
    "lambo": 1.6,
    "rocket": 1.3,
    "rally": 1.7,
    "rallied": 1.7,
    "rallying": 1.7,
    "rallies": 1.7,
    "soar": 1.9,
    "soars": 1.9,
    "soared": 1.9,
    "soaring": 1.9,
    "surge": 1.6,
    "surges": 1.6,
    "surged": 1.6,
    "surging": 1.6,
    "skyrocket": 2.2,
    "skyrocketing": 2.2,
    "rebound": 1.2,
    "rebounded": 1.2,
    "bounce": 0.9,
    "bounced": 0.9,
    "short_squeeze": 1.2,
    "pump": 0.9,
    "pumping": 1.1,
    "pumped": 1.1,
    "dumps": -1.6,
    "dumped": -1.6,
    "pump_and_dump": -2.4,
    "dead_cat_bounce": -1.7,
    "plunge": -1.8,
    "plunges": -1.8,
    "plunged": -1.8,
    "plunging": -1.8,
    "plummet": -2.0,
    "plummets": -2.0,
    "plummeted": -2.0,
    "plummeting": -2.0,
    "tanked": -1.7,
    "tanking": -1.7,
    "crashed": -1.9,
    "crashes": -1.7,
    "selloff": -1.6,
    "sell-off": -1.6,
    "capitulation": -1.9,
    "capitulate": -1.7,
    "bleeding": -1.5,
    "bloodbath": -2.6,
    "liquidated": -2.2,
    "liquidation": -1.6,
    "liquidations": -1.6,
    # Holding and selling.
    "hodl": 1.4,
    "hodling": 1.4,
    "accumulate": 1.0,
    "accumulating": 1.0,
    "buy_the_dip": 1.2,
    "buying_the_dip": 1.2,
    "diamond_hands": 1.7,
    "paper_hands": -1.4,
    "wagmi": 1.9,
    "ngmi": -1.9,
    "rekt": -2.5,
    "bagholder": -1.8,
    "bagholders": -1.8,
    "fomo": -0.4,
    "fud": -1.1,
    # Deceit and failure.
    "rug": -1.9,
    "rugged": -2.6,
    "rug_pull": -2.9,
    "rugpull": -2.9,
    "rug_pulled": -2.9,
    "ponzi": -2.7,
    "shitcoin": -2.3,
    "shitcoins": -2.3,
    "shill": -1.4,
    "shilling": -1.4,
    "honeypot": -2.4,
    "exit_scam": -3.0,
    "hack": -1.7,
    "exploit": -1.9,
    "drained": -2.0,
    "depeg": -2.3,
    "depegged": -2.3,
    "insolvent": -2.6,
    "insolvency": -2.6,
    "bankruptcy": -2.6,
    "delisted": -1.9,
    "delisting": -1.9,
    "halted": -1.3,
    # Growth.
    "adoption": 1.4,
    "partnership": 1.2,
    "upgrade": 1.0,
    "mainnet": 0.7,
    "inflows": 1.2,
    "outflows": -1.2,
}

#: Words that feel like something elsewhere and name a thing here: a *block* holds transactions, *shares* are
#: traded, *interest* is open or paid, a *security* is what a regulator asks about.
PLAIN: Final = frozenset({"block", "blocks", "share", "shares", "interest", "security", "value"})

_PHRASES: Final = tuple(
    sorted((word for word in VALENCES if "_" in word), key=lambda phrase: (-len(phrase), phrase))
)
#: Matches a phrase of the lexicon, its words apart by spaces or a hyphen.
PHRASE: Final = re.compile(
    r"\b(?:" + "|".join(phrase.replace("_", r"[\s-]+") for phrase in _PHRASES) + r")\b", re.IGNORECASE
)
_APART: Final = re.compile(r"[\s-]+")


def join_phrases(text: str) -> str:
    """Return `text` with the words of each phrase joined, so that the lexicon finds it."""
    return PHRASE.sub(lambda match: _APART.sub("_", match[0]), text)
