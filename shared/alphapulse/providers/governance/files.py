"""Governance from files: ``governance/<ASSET>.json``.

An object with ``proposals``, a list of objects with ``id, started_at, ended_at`` (RFC 3339), ``state``
(``pending``, ``active``, ``passed``, ``defeated``, ``cancelled``, ``closed``), ``votes_for, votes_against``,
and where they are known ``votes_abstain`` (0), ``quorum``, ``voters`` (0), ``spends_treasury``. Beside them,
where they are known, ``eligible_votes``, a number, and ``treasury_usd``, an object from day (``YYYY-MM-DD``)
to US dollars.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Literal

from alphapulse.domain.agents.evidence import REPLAY_SOURCE, DailySeries, Governance, Proposal
from alphapulse.providers.errors import BrokenFile
from alphapulse.providers.files import DataFiles, json_object
from alphapulse.providers.governance.reading import (
    UNREADABLE,
    count_of,
    moment_of_text,
    text_of,
    votes_of,
    whole_of,
)
from alphapulse.providers.governance.treasury import treasury_series
from alphapulse.providers.source import SourceContext

STATES: Final = frozenset({"pending", "active", "passed", "defeated", "cancelled", "closed"})

_KEYS: Final = frozenset({"proposals", "eligible_votes", "treasury_usd"})
_NEEDED: Final = frozenset({"id", "started_at", "ended_at", "state", "votes_for", "votes_against"})
_OPTIONAL: Final = frozenset({"votes_abstain", "quorum", "voters", "spends_treasury"})
_MOST_VOTERS: Final = 10**9


class GovernanceFiles:
    """A replay of governance.

    Parameters
    ----------
    context
        Tells the directory.
    """

    name: Literal["directory"] = "directory"

    def __init__(self, context: SourceContext) -> None:
        self._clock = context.clock
        self._files = DataFiles[Governance](context, "governance", ".json", self._governance)

    def covers(self, asset: str) -> bool:
        """Tell that a file may be there for any asset."""
        return bool(asset)

    async def fetch(self, asset: str) -> Governance:
        """Return what an asset's file says.

        Raises
        ------
        alphapulse.providers.errors.AssetUnknown, alphapulse.providers.errors.BrokenFile
            There is none, or it cannot be read.
        """
        return replace(await self._files.of(asset), retrieved_at=self._clock())

    def _governance(self, name: str, text: str) -> Governance:
        document = json_object(name, text)
        _require_keys(name, "it", document, needed=frozenset({"proposals"}), allowed=_KEYS)
        if not isinstance(document["proposals"], list):
            raise BrokenFile(name, None, "proposals must be a list")
        proposals = [
            _proposal(name, number, item) for number, item in enumerate(document["proposals"], start=1)
        ]
        proposals.sort(key=lambda proposal: (proposal.started_at, proposal.id), reverse=True)
        eligible = document.get("eligible_votes")
        try:
            eligible_votes = None if eligible is None else votes_of(count_of(eligible))
        except UNREADABLE as error:
            raise BrokenFile(name, None, f"eligible_votes cannot be read: {error}") from error
        treasury = _treasury(name, document.get("treasury_usd"), self._clock())
        return Governance(tuple(proposals), eligible_votes, treasury, REPLAY_SOURCE, self._clock())


def _proposal(name: str, number: int, item: Any) -> Proposal:
    where = f"proposal {number}"
    if not isinstance(item, dict):
        raise BrokenFile(name, None, f"{where} must be an object, was {type(item).__name__}")
    _require_keys(name, where, item, needed=_NEEDED, allowed=_NEEDED | _OPTIONAL)
    quorum, spends = item.get("quorum"), item.get("spends_treasury")
    try:
        if item["state"] not in STATES:
            raise ValueError(f"state must be one of {', '.join(sorted(STATES))}")
        if spends is not None and not isinstance(spends, bool):
            raise TypeError("spends_treasury must be true, false or null")
        return Proposal(
            id=text_of(item["id"]),
            started_at=moment_of_text(item["started_at"]),
            ended_at=moment_of_text(item["ended_at"]),
            state=item["state"],
            votes_for=votes_of(count_of(item["votes_for"])),
            votes_against=votes_of(count_of(item["votes_against"])),
            votes_abstain=votes_of(count_of(item.get("votes_abstain", 0))),
            quorum=None if quorum is None else votes_of(count_of(quorum)),
            voters=whole_of(item.get("voters", 0), most=_MOST_VOTERS),
            spends_treasury=spends,
        )
    except UNREADABLE as error:
        raise BrokenFile(name, None, f"{where} cannot be read: {error}") from error


def _treasury(name: str, days: Any, now: dt.datetime) -> DailySeries | None:
    if days is None:
        return None
    try:
        by_day = {dt.date.fromisoformat(day): count_of(value) for day, value in days.items()}
    except UNREADABLE as error:
        raise BrokenFile(name, None, f"treasury_usd cannot be read: {error}") from error
    return treasury_series(dict(sorted(by_day.items())), source=REPLAY_SOURCE, now=now)


def _require_keys(
    name: str, where: str, item: Mapping[str, Any], *, needed: frozenset[str], allowed: frozenset[str]
) -> None:
    missing, unknown = sorted(needed - item.keys()), sorted(item.keys() - allowed)
    if missing:
        raise BrokenFile(name, None, f"{where} lacks {', '.join(missing)}")
    if unknown:
        raise BrokenFile(name, None, f"{where} has unknown keys; known are {', '.join(sorted(allowed))}")
