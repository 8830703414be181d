"""Provider data as JSON documents and back, exactly: floats keep every bit, a hole (NaN) is null."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, TypeVar

import numpy as np

from alphapulse.domain.agents.evidence import DailySeries, Governance, PostSample, Proposal, ScoredPost
from alphapulse.domain.signals import SignalInput

Value = TypeVar("Value")

_EPOCH_ORDINAL: Final = dt.date(1970, 1, 1).toordinal()


class OnChainCodec:
    """Daily series by name."""

    def encode(self, value: Mapping[str, DailySeries]) -> Any:
        """Return a JSON document; most series have the same days, which are in it once."""
        calendars: dict[tuple[dt.date, ...], int] = {}
        series = []
        for one in value.values():
            place = calendars.setdefault(one.days, len(calendars))
            series.append({**series_document(one), "days": place})
        return {"calendars": [_ordinals(days) for days in calendars], "series": series}

    def decode(self, document: Any) -> Mapping[str, DailySeries]:
        """Return the series of a document; raises LookupError, TypeError or ValueError for others."""
        calendars = [_days(days) for days in document["calendars"]]
        series = [_series(item, calendars[item["days"]]) for item in document["series"]]
        return {one.name: one for one in series}


class SupplyCodec:
    """Single figures by name."""

    def encode(self, value: Mapping[str, SignalInput]) -> Any:
        """Return a JSON document."""
        return [[one.name, one.value, one.as_of.isoformat(), one.source] for one in value.values()]

    def decode(self, document: Any) -> Mapping[str, SignalInput]:
        """Return the figures of a document; raises LookupError, TypeError or ValueError for others."""
        figures = [
            SignalInput(name, value, _moment(as_of), source) for name, value, as_of, source in document
        ]
        return {one.name: one for one in figures}


class PostsCodec:
    """Scored posts."""

    def encode(self, value: PostSample) -> Any:
        """Return a JSON document."""
        return {
            "posts": [_record(post) for post in value.posts],
            "source": value.source,
            "retrieved_at": value.retrieved_at.isoformat(),
            "missing": dict(value.missing),
        }

    def decode(self, document: Any) -> PostSample:
        """Return the posts of a document; raises LookupError, TypeError or ValueError for others."""
        return PostSample(
            posts=tuple(ScoredPost(**_with_moments(post, "posted_at")) for post in document["posts"]),
            source=document["source"],
            retrieved_at=_moment(document["retrieved_at"]),
            missing=dict(document["missing"]),
        )


class GovernanceCodec:
    """Proposals and treasury."""

    def encode(self, value: Governance) -> Any:
        """Return a JSON document."""
        treasury = value.treasury_usd
        return {
            "proposals": [_record(proposal) for proposal in value.proposals],
            "eligible_votes": value.eligible_votes,
            "treasury_usd": None if treasury is None else series_document(treasury),
            "source": value.source,
            "retrieved_at": value.retrieved_at.isoformat(),
            "missing": dict(value.missing),
        }

    def decode(self, document: Any) -> Governance:
        """Return the proposals of a document; raises LookupError, TypeError or ValueError for others."""
        treasury = document["treasury_usd"]
        return Governance(
            proposals=tuple(
                Proposal(**_with_moments(proposal, "started_at", "ended_at"))
                for proposal in document["proposals"]
            ),
            eligible_votes=document["eligible_votes"],
            treasury_usd=None if treasury is None else series_of(treasury),
            source=document["source"],
            retrieved_at=_moment(document["retrieved_at"]),
            missing=dict(document["missing"]),
        )


def series_document(series: DailySeries) -> dict[str, Any]:
    """Return a series as a JSON document."""
    return {
        "name": series.name,
        "source": series.source,
        "retrieved_at": series.retrieved_at.isoformat(),
        "days": _ordinals(series.days),
        "values": [value if math.isfinite(value) else None for value in series.values.tolist()],
    }


def series_of(document: Any) -> DailySeries:
    """Return the series of a document; raises LookupError, TypeError or ValueError for others."""
    return _series(document, _days(document["days"]))


def _series(document: Any, days: tuple[dt.date, ...]) -> DailySeries:
    values = np.array([np.nan if value is None else value for value in document["values"]], np.float64)
    if len(days) != len(values):
        raise ValueError(f"a series needs one value per day, had {len(values)} for {len(days)}")
    values.flags.writeable = False  # all who read it share it
    retrieved_at = _moment(document["retrieved_at"])
    return DailySeries(document["name"], days, values, document["source"], retrieved_at)


def _ordinals(days: Sequence[dt.date]) -> list[int]:
    return [day.toordinal() - _EPOCH_ORDINAL for day in days]


def _days(ordinals: Any) -> tuple[dt.date, ...]:
    return tuple(dt.date.fromordinal(day + _EPOCH_ORDINAL) for day in ordinals)


def _record(item: ScoredPost | Proposal) -> dict[str, Any]:
    values = {field.name: getattr(item, field.name) for field in fields(item)}
    return {
        name: value.isoformat() if isinstance(value, dt.datetime) else value for name, value in values.items()
    }


def _with_moments(document: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {**document, **{name: _moment(document[name]) for name in names}}


def _moment(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time needs an offset, was {text!r}")
    return moment
