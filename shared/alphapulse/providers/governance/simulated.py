"""Simulated governance, which goes with the clock and says in every answer that it is simulated.

Only assets whose holders do vote are simulated. What is proposed in a week follows from the seed, the asset
and the week alone; votes come in while a vote runs, and its outcome is not told before it has ended.
"""

import asyncio
import datetime as dt
import random
from typing import Final, Literal

from alphapulse.domain.agents.evidence import DailySeries, Governance, Proposal
from alphapulse.providers.assets import ids_of
from alphapulse.providers.errors import AssetUnknown
from alphapulse.providers.governance.treasury import HISTORY_DAYS, treasury_series
from alphapulse.providers.source import SourceContext

# Their holders vote where no live source of ours reads.
_VOTING_ELSEWHERE: Final = frozenset({"ADA", "ALGO", "BNB", "DASH", "DOT", "MKR"})
_WEEK: Final = dt.timedelta(days=7)
_EPOCH: Final = dt.datetime(1970, 1, 5, tzinfo=dt.UTC)
_EPOCH_DAY: Final = dt.date(1970, 1, 1)
_WEEKS: Final = 104
_FRESH: Final = 900
_WEEKS_TILL_OVER: Final = 2
_ELIGIBLE: Final = 250_000_000.0
_QUORUM_SHARE: Final = 0.04
_PER_WEEK: Final = (0, 0, 1, 1, 2)
_BUSY_SEASON: Final = 1.4
_CANCELLED_SHARE: Final = 0.03
_SPENDING_SHARE: Final = 0.3
_TREASURY: Final = 300e6
# Share of the treasury's distance from its level that is left after a day.
_PERSISTENCE: Final = 0.98
_FIRST_DAY: Final = dt.date(2018, 1, 1)


class SimulatedGovernance:
    """Votes and treasuries of the assets whose holders vote.

    Parameters
    ----------
    context
        Tells seed and time.
    """

    name: Literal["simulated"] = "simulated"

    def __init__(self, context: SourceContext) -> None:
        self._seed = context.options.seed
        self._clock = context.clock
        self._answers: dict[str, Governance] = {}
        self._over: dict[tuple[str, int], list[Proposal]] = {}
        self._treasuries: dict[str, tuple[dt.date, DailySeries]] = {}

    def covers(self, asset: str) -> bool:
        """Tell whether holders of the asset vote."""
        ids = ids_of(asset)
        return asset in _VOTING_ELSEWHERE or bool(ids.snapshot_space or ids.tally_organization)

    async def fetch(self, asset: str) -> Governance:
        """Return the proposals of the last two years, as they were at the last full quarter of an hour.

        Raises
        ------
        AssetUnknown
            The asset is not simulated, or nothing is yet at this time.
        """
        # As long as the answer of a service is fresh: who asks within it gets the same.
        now = dt.datetime.fromtimestamp(self._clock().timestamp() // _FRESH * _FRESH, dt.UTC)
        known = self._answers.get(asset)
        if known is not None and known.retrieved_at == now:
            return known
        if not self.covers(asset) or now.date() <= _FIRST_DAY:
            raise AssetUnknown(f"governance of {asset} is not simulated")
        week = (now - _EPOCH) // _WEEK
        proposals = [
            proposal
            for number in range(week - _WEEKS, week + 1)
            for proposal in self._week(asset, number, now, over=number < week - _WEEKS_TILL_OVER)
        ]
        treasury = await self._treasury(asset, now)
        answer = Governance(tuple(proposals[::-1]), _ELIGIBLE, treasury, self.name, now)
        self._answers[asset] = answer
        return answer

    def _week(self, asset: str, week: int, now: dt.datetime, *, over: bool) -> list[Proposal]:
        # The votes of a week that is long over will not change any more.
        found = self._over.get((asset, week)) if over else None
        if found is None:
            found = _week_of(self._seed, asset, week, now)
            if over:
                self._over[asset, week] = found
        return found

    async def _treasury(self, asset: str, now: dt.datetime) -> DailySeries:
        last_day = now.date() - dt.timedelta(days=1)
        made = self._treasuries.get(asset)
        if made is None or made[0] != last_day:
            series = await asyncio.to_thread(_treasury_until, self._seed, asset, last_day, now)
            made = self._treasuries[asset] = (last_day, series)
        return made[1]


def _week_of(seed: int, asset: str, week: int, now: dt.datetime) -> list[Proposal]:
    # Not for secrets: the same numbers for the same seed are the point.
    chance = random.Random(f"{seed}/governance/{asset}/{week}")  # noqa: S311 - see above
    # Seasons: for some months holders take part more than for others.
    season = random.Random(f"{seed}/season/{asset}/{week // 10}").uniform(0.6, 1.6)  # noqa: S311 - as above
    count = chance.choice(_PER_WEEK) + (season > _BUSY_SEASON)
    begins = sorted(chance.random() for _ in range(count))
    monday = _EPOCH + week * _WEEK
    proposals = [
        _proposal(chance, f"{asset.lower()}-{week}-{number}", monday + begin * _WEEK, season, now)
        for number, begin in enumerate(begins)
    ]
    return [proposal for proposal in proposals if proposal.started_at <= now]


def _proposal(
    chance: random.Random, name: str, started_at: dt.datetime, season: float, now: dt.datetime
) -> Proposal:
    ended_at = started_at + dt.timedelta(days=chance.choice((3, 5, 7)))
    turnout = 0.05 * season * chance.lognormvariate(0.0, 0.35)
    favour, abstained = chance.betavariate(5.0, 1.3), chance.uniform(0.0, 0.08)
    cancelled, spends = chance.random() < _CANCELLED_SHARE, chance.random() < _SPENDING_SHARE
    came_in = min(1.0, (now - started_at) / (ended_at - started_at))
    votes = _ELIGIBLE * min(turnout, 0.6) * came_in
    decided = votes * (1.0 - abstained)
    state = "active"
    if now >= ended_at:
        passed = favour > 1.0 - favour and votes >= _QUORUM_SHARE * _ELIGIBLE
        state = "cancelled" if cancelled else "passed" if passed else "defeated"
    return Proposal(
        id=name,
        started_at=started_at,
        ended_at=ended_at,
        state=state,
        votes_for=round(decided * favour, 2),
        votes_against=round(decided * (1.0 - favour), 2),
        votes_abstain=round(votes * abstained, 2),
        quorum=_QUORUM_SHARE * _ELIGIBLE,
        voters=int(votes // 12_000),
        spends_treasury=spends,
    )


def _treasury_until(seed: int, asset: str, last_day: dt.date, now: dt.datetime) -> DailySeries:
    # From the first day on, so that a day has the same value whenever it is asked for.
    distance, by_day = 0.0, {}
    for number in range((last_day - _FIRST_DAY).days + 1):
        day = _FIRST_DAY + dt.timedelta(days=number)
        chance = random.Random(f"{seed}/treasury/{asset}/{(day - _EPOCH_DAY).days}")  # noqa: S311 - as above
        distance = _PERSISTENCE * distance + chance.gauss(0.0, 0.02)
        by_day[day] = round(_TREASURY * (1.0 + max(distance, -0.9)), 2)
    recent = dict(list(by_day.items())[-HISTORY_DAYS:])
    return treasury_series(recent, source="simulated", now=now)
