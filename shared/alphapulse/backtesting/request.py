"""What a backtest is asked for: read strictly from JSON, as the route, the event function and the CLI do.

Nothing here needs numpy, so that a route can check a request without paying for it.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Final, Self

from alphapulse.domain.agents.parameters import InvalidParameters
from alphapulse.domain.agents.registry import AGENT_NAMES, parameters_of
from alphapulse.domain.backtest.terms import InvalidTerms, Terms, WalkForward
from alphapulse.domain.instruments import Interval, InvalidInterval, InvalidSymbol, Symbol
from alphapulse.domain.money import InvalidDecimal, decimal_text, parse_decimal

_AMOUNTS: Final = ("starting_equity", "position_fraction", "fee_bps", "slippage_bps")
_NAMES: Final = frozenset(
    {"symbol", "interval", "agent", "parameters", "from", "to", *_AMOUNTS, "short", "folds", "grid"}
)
_LEAST_CANDIDATES: Final = 2
_YEARS: Final = (1970, 2999)


class InvalidRequest(ValueError):
    """A request that cannot be carried out; the message says what was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestRequest:
    """A backtest as it is asked for.

    Attributes
    ----------
    symbol, interval, agent
        What is judged, on which bars, by whom.
    parameters : mapping
        Of the agent; what is not set keeps its default.
    start, end : datetime or None
        Bars that open at or after the one and close by the other; all there are if None.
    terms : Terms
        Costs and sizes.
    plan : WalkForward
        Folds and grid.
    """

    symbol: str
    interval: Interval
    agent: str
    parameters: Mapping[str, Any]
    start: dt.datetime | None
    end: dt.datetime | None
    terms: Terms
    plan: WalkForward

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Read a request.

        Raises
        ------
        InvalidRequest
            Something is missing, unknown, or makes no sense.
        """
        unknown = sorted(document.keys() - _NAMES)
        if unknown:
            raise InvalidRequest(f"unknown fields: {', '.join(unknown)}")
        try:
            return cls._read(document)
        except KeyError as error:
            raise InvalidRequest(f"{error.args[0]} is missing") from error
        except (InvalidTerms, InvalidParameters, InvalidDecimal, InvalidInterval, InvalidSymbol) as error:
            raise InvalidRequest(str(error)) from error

    @classmethod
    def _read(cls, document: Mapping[str, Any]) -> Self:
        agent, start, end = document["agent"], _moment(document, "from"), _moment(document, "to")
        if agent not in AGENT_NAMES:
            raise InvalidRequest(f"agent must be one of {', '.join(AGENT_NAMES)}, was {agent!r}")
        if start is not None and end is not None and start >= end:
            raise InvalidRequest(f"from must be before to, was {start.isoformat()} and {end.isoformat()}")
        parameters = _mapping(document, "parameters")
        plan = WalkForward(_whole(document, "folds"), _grid(document))
        _check_candidates(agent, parameters, plan)
        return cls(
            symbol=str(Symbol.parse(document["symbol"])),
            interval=Interval.parse(document["interval"]),
            agent=agent,
            parameters=parameters,
            start=start,
            end=end,
            terms=_terms(document),
            plan=plan,
        )

    def document(self) -> dict[str, Any]:
        """Return what :meth:`of` reads; a request with everything in it."""
        terms = self.terms
        return {
            "symbol": self.symbol,
            "interval": self.interval.value,
            "agent": self.agent,
            "parameters": dict(self.parameters),
            "from": rfc3339(self.start),
            "to": rfc3339(self.end),
            **{name: decimal_text(getattr(terms, name)) for name in _AMOUNTS},
            "short": terms.short,
            "folds": self.plan.folds,
            "grid": {name: list(values) for name, values in self.plan.grid.items()},
        }


def rfc3339(moment: dt.datetime | None) -> str | None:
    """Write a moment as JSON has it."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _terms(document: Mapping[str, Any]) -> Terms:
    given = {name: document[name] for name in _AMOUNTS if document.get(name) is not None}
    amounts: dict[str, Decimal] = {name: parse_decimal(value, name=name) for name, value in given.items()}
    short = document.get("short") or False
    if not isinstance(short, bool):
        raise InvalidRequest(f"short must be true or false, was {short!r}")
    return Terms(**amounts, short=short)


def _check_candidates(agent: str, parameters: Mapping[str, Any], plan: WalkForward) -> None:
    kind = parameters_of(agent)
    unknown = sorted(plan.grid.keys() - {item.name for item in fields(kind)})
    if unknown:
        raise InvalidRequest(f"the grid names parameters the agent does not have: {', '.join(unknown)}")
    if plan.grid and plan.size < _LEAST_CANDIDATES:
        raise InvalidRequest("a grid needs at least two combinations to choose from")
    if plan.size > MOST_CANDIDATES:
        raise InvalidRequest(f"a grid may have {MOST_CANDIDATES} combinations, was {plan.size}")
    for own in plan.candidates:
        kind.of({**parameters, **own})


def _grid(document: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    grid = _mapping(document, "grid")
    for name, values in grid.items():
        if not isinstance(values, list | tuple):
            raise InvalidRequest(f"grid.{name} must be a list of values, was {type(values).__name__}")
        if len(set(map(repr, values))) < len(values):
            raise InvalidRequest(f"grid.{name} has a value twice")
    return {name: tuple(values) for name, values in grid.items()}


def _mapping(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidRequest(f"{name} must be an object, was {type(value).__name__}")
    return dict(value)


def _whole(document: Mapping[str, Any], name: str) -> int:
    value = document.get(name)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidRequest(f"{name} must be a whole number, was {value!r}")
    return value


def _moment(document: Mapping[str, Any], name: str) -> dt.datetime | None:
    value = document.get(name)
    if value is None:
        return None
    try:
        moment = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.UTC)
        moment = moment.astimezone(dt.UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidRequest(f"{name} must be a date or an RFC 3339 moment, was {value!r}") from error
    if not _YEARS[0] <= moment.year <= _YEARS[1]:
        raise InvalidRequest(f"{name} must be from {_YEARS[0]} to {_YEARS[1]}, was {moment.isoformat()}")
    return moment


#: Combinations of a grid that anybody may ask for.
MOST_CANDIDATES: Final = 64
