"""Ways in which evidence can be odd, each a change of evidence in which nothing is missing."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias

import numpy as np

from alphapulse.domain.agents.evidence import DailySeries, Dataset, Evidence
from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.instruments import Interval
from alphapulse.domain.series import PriceSeries
from tests.unit.domain.agents.builders import ON_CHAIN, SUPPLY

Change: TypeAlias = Callable[[Evidence], Evidence]


def every_series(change: Callable[[DailySeries], DailySeries]) -> Change:
    """Change all daily series, the treasury's too."""

    def changed(evidence: Evidence) -> Evidence:
        governance = evidence.governance
        assert governance is not None
        assert governance.treasury_usd is not None
        return replace(
            evidence,
            on_chain={name: change(item) for name, item in evidence.on_chain.items()},
            governance=replace(governance, treasury_usd=change(governance.treasury_usd)),
        )

    return changed


def every_value(change: Callable[[FloatArray], FloatArray]) -> Change:
    """Change all figures of all series, candles, posts, proposals and supply."""

    def number(value: float) -> float:
        return float(change(np.array([value]))[0])

    def changed(evidence: Evidence) -> Evidence:
        assert evidence.bars is not None
        assert evidence.posts is not None
        moved = every_series(lambda item: replace(item, values=change(item.values)))(evidence)
        assert moved.governance is not None
        candles = evidence.bars.series
        columns = {
            column: change(getattr(candles, column)) for column in ("open", "high", "low", "close", "volume")
        }
        return replace(
            moved,
            bars=replace(evidence.bars, series=replace(candles, **columns)),
            supply={
                name: replace(item, value=number(float(item.value or 0.0)))
                for name, item in evidence.supply.items()
            },
            posts=replace(
                evidence.posts,
                posts=tuple(
                    replace(item, polarity=number(item.polarity), engagement=number(item.engagement))
                    for item in evidence.posts.posts
                ),
            ),
            governance=replace(
                moved.governance,
                eligible_votes=number(5000.0),
                proposals=tuple(
                    replace(
                        item,
                        votes_for=number(item.votes_for),
                        votes_against=number(item.votes_against),
                        votes_abstain=number(item.votes_abstain),
                        quorum=number(400.0),
                    )
                    for item in moved.governance.proposals
                ),
            ),
        )

    return changed


def only_newest(count: int) -> Change:
    """Keep this many bars, days, posts and proposals."""

    def changed(evidence: Evidence) -> Evidence:
        assert evidence.bars is not None
        assert evidence.posts is not None
        short = every_series(
            lambda item: replace(
                item, days=item.days[len(item.days) - count :], values=item.values[len(item.days) - count :]
            )
        )(evidence)
        assert short.governance is not None
        return replace(
            short,
            bars=replace(evidence.bars, series=evidence.bars.series.last(count)),
            posts=replace(evidence.posts, posts=evidence.posts.posts[:count]),
            governance=replace(short.governance, proposals=short.governance.proposals[:count]),
        )

    return changed


def later(age: timedelta) -> Change:
    """Ask at a later moment, so that all data are older."""
    return lambda evidence: replace(evidence, now=evidence.now + age)


def moved_candles(places: Iterable[int]) -> Change:
    """Take candles in another order, or several times."""
    chosen = np.array(list(places))

    def changed(evidence: Evidence) -> Evidence:
        assert evidence.bars is not None
        old = evidence.bars.series
        columns = [old.open, old.high, old.low, old.close, old.volume]
        times = tuple(old.open_times[place] for place in chosen)
        series = PriceSeries(times, *(column[chosen] for column in columns))
        return replace(evidence, bars=replace(evidence.bars, series=series))

    return changed


def moved_days(order: Callable[[int], FloatArray]) -> Change:
    """Take days in another order, or several times."""

    def change(item: DailySeries) -> DailySeries:
        chosen = order(len(item.days))
        return replace(
            item, days=tuple(item.days[int(place)] for place in chosen), values=item.values[chosen]
        )

    return every_series(change)


def moved_lists(evidence: Evidence) -> Evidence:
    """Give posts and proposals oldest first, and the newest ten twice."""
    assert evidence.posts is not None
    assert evidence.governance is not None
    posted, proposed = evidence.posts.posts, evidence.governance.proposals
    return replace(
        evidence,
        posts=replace(evidence.posts, posts=(*posted[:10], *reversed(posted))),
        governance=replace(evidence.governance, proposals=(*proposed[:10], *reversed(proposed))),
    )


def from_the_future(evidence: Evidence) -> Evidence:
    """Ask two years before the end of the data."""
    return replace(evidence, now=evidence.now - timedelta(days=730))


def nothing_gathered(evidence: Evidence) -> Evidence:
    reasons = {item.value: f"the source of {item.value} is down" for item in Dataset}
    return Evidence(evidence.symbol, evidence.interval, evidence.now, missing=reasons)


def nothing_in_it(evidence: Evidence) -> Evidence:
    changed = only_newest(0)(evidence)
    assert changed.governance is not None
    emptied = replace(changed.governance, eligible_votes=None, treasury_usd=None)
    return replace(changed, supply={}, governance=emptied)


def noisy(seed: int, *specials: float) -> Change:
    """Put special values at a tenth of all places."""
    random = np.random.default_rng(seed)

    def change(values: FloatArray) -> FloatArray:
        hit = random.random(len(values)) < 0.1
        return np.where(hit, random.choice(np.array(specials), len(values)), values)

    return every_value(change)


def of_all(value: float) -> Change:
    return every_value(lambda values: np.full(len(values), value))


def newest_only(value: float) -> Change:
    return every_value(lambda values: np.concatenate([values[:-1], [value]]))


def scaled(factor: float) -> Change:
    def change(values: FloatArray) -> FloatArray:
        with np.errstate(over="ignore", under="ignore"):
            return values * factor

    return every_value(change)


CHANGES: dict[str, Change] = {
    "full data": lambda evidence: evidence,
    "nothing gathered": nothing_gathered,
    "nothing in it": nothing_in_it,
    "one bar, day, post and proposal": only_newest(1),
    "two of each": only_newest(2),
    "a month of each": only_newest(30),
    "a week old": later(timedelta(days=7)),
    "ten years old": later(timedelta(days=3653)),
    "constant": of_all(42.0),
    "zero": of_all(0.0),
    "negative": of_all(-5.0),
    "NaN everywhere": of_all(np.nan),
    "infinite everywhere": of_all(np.inf),
    "huge everywhere": of_all(1.7e308),
    "tiny everywhere": of_all(5e-324),
    "newest NaN": newest_only(np.nan),
    "newest infinite": newest_only(np.inf),
    "newest minus infinite": newest_only(-np.inf),
    "newest zero": newest_only(0.0),
    "newest negative": newest_only(-1.0),
    "newest huge": newest_only(1.7e308),
    "newest tiny": newest_only(5e-324),
    "newest large": newest_only(9e29),
    "scaled to huge": scaled(1e290),
    "scaled to large": scaled(1e15),
    "scaled to tiny": scaled(1e-320),
    "some NaN": noisy(1, np.nan),
    "some zero": noisy(2, 0.0),
    "some of everything": noisy(3, np.nan, np.inf, -np.inf, 0.0, -1.0, 1.7e308, 5e-324, 1e30, 1e-30),
    "candles unordered": moved_candles(np.random.default_rng(4).permutation(500)),
    "candles repeated": moved_candles(np.repeat(np.arange(500), 2)),
    "candles backwards": moved_candles(range(499, -1, -1)),
    "candles with gaps": moved_candles(np.flatnonzero(np.arange(500) % 7)),
    "days unordered": moved_days(lambda count: np.random.default_rng(5).permutation(count)),
    "days repeated": moved_days(lambda count: np.repeat(np.arange(count), 2)),
    "days backwards": moved_days(lambda count: np.arange(count)[::-1]),
    "days with gaps": moved_days(lambda count: np.flatnonzero(np.arange(count) % 7)),
    "posts and proposals unordered and repeated": moved_lists,
    "data of the future": from_the_future,
    "another interval": lambda evidence: replace(evidence, interval=Interval.DAY),
}


INPUTS = [
    *(f"on_chain.{name}" for name in (*ON_CHAIN, "supply")),
    *(f"supply.{name}" for name in SUPPLY),
    *(item.value for item in Dataset),
]


def without(evidence: Evidence, missing: str) -> Evidence:
    dataset, _, figure = missing.partition(".")
    field = "bars" if dataset == "candles" else dataset
    if figure:
        kept = {key: item for key, item in getattr(evidence, field).items() if key != figure}
        return replace(evidence, **{field: kept})
    nothing = {} if field in {"on_chain", "supply"} else None
    return replace(evidence, missing={dataset: "the source is down"}, **{field: nothing})


def truncated(evidence: Evidence, moment: datetime) -> Evidence:
    """Leave out everything that lies after a moment."""
    assert evidence.bars is not None
    assert evidence.posts is not None
    assert evidence.governance is not None
    cut = every_series(lambda item: item.until(moment))(evidence)
    assert cut.governance is not None
    proposed = tuple(item for item in cut.governance.proposals if item.started_at <= moment)
    return replace(
        cut,
        now=moment,
        posts=replace(
            evidence.posts, posts=tuple(item for item in evidence.posts.posts if item.posted_at <= moment)
        ),
        governance=replace(cut.governance, proposals=proposed),
    )
