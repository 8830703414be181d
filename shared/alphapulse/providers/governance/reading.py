"""What reading a platform's answer has in common: votes, times, GraphQL's envelope, and odd proposals."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from alphapulse.domain.agents.evidence import Proposal
from alphapulse.providers.errors import AnswerMalformed, SourceBusy, SourceDown, SourceRefuses
from alphapulse.providers.social.reading import UNREADABLE, count_of, moment_of, moment_of_text, text_of
from alphapulse.providers.transport import SourceClient, reading

__all__ = [
    "UNREADABLE",
    "ask",
    "count_of",
    "moment_of",
    "moment_of_text",
    "read_proposals",
    "text_of",
    "votes_of",
    "whole_of",
]

_LARGEST_TEXT: Final = 80
_MOST_VOTES: Final = 1e30
_BUSY_SECONDS: Final = 60.0
_UNAUTHORIZED: Final = 401
_REFUSING_WORDS: Final = ("unauthori", "forbidden", "api key", "api-key")
_BUSY_WORDS: Final = ("rate limit", "too many requests", "throttle")


async def ask(client: SourceClient, path: str, query: str, variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the ``data`` of a GraphQL answer.

    Parameters
    ----------
    client
        Of the service.
    path
        Of its endpoint.
    query
        A named operation.
    variables
        Of it.

    Raises
    ------
    alphapulse.providers.errors.ProviderError
        As the client does; and when the answer carries errors, which GraphQL sends with status 200.
    """
    answer: Any = await client.post(path, {"query": query, "variables": dict(variables)})
    with reading(client.name, "a query"):
        errors = answer.get("errors")
        if errors:
            # Its text is only looked at: it may quote the query, and has no length.
            said = str(errors[0].get("message") if isinstance(errors[0], dict) else "").casefold()
            if any(word in said for word in _REFUSING_WORDS):
                raise SourceRefuses(f"{client.name} refuses the key", status=_UNAUTHORIZED)
            if any(word in said for word in _BUSY_WORDS):
                raise SourceBusy(f"{client.name} takes no more requests", retry_after_seconds=_BUSY_SECONDS)
            raise SourceDown(f"{client.name} answered a query with an error")
        data = answer["data"]
        if not isinstance(data, dict):
            raise TypeError("data must be an object")
        return data


def read_proposals(source: str, items: Any, read: Callable[[Any], Proposal | None]) -> tuple[Proposal, ...]:
    """Read each proposal of an answer by itself, newest first.

    Parameters
    ----------
    source
        Whose answer.
    items
        The list of proposals in it.
    read
        ``item -> Proposal``, or None for one that is to be left out; raises one of :data:`UNREADABLE`.

    Raises
    ------
    AnswerMalformed
        It is no list, or most of it cannot be read: that is another format, not an odd proposal.
    """
    if not isinstance(items, list):
        raise AnswerMalformed(f"{source} answered proposals that are no list")
    found: list[Proposal] = []
    unreadable = 0
    for item in items:
        try:
            proposal = read(item)
        except UNREADABLE:
            unreadable += 1
        else:
            found += [] if proposal is None else [proposal]
    if unreadable * 2 > len(items):
        raise AnswerMalformed(
            f"{source} answered {len(items)} proposals of which {unreadable} cannot be read"
        )
    return tuple(sorted(found, key=lambda proposal: (proposal.started_at, proposal.id), reverse=True))


def votes_of(value: Any, *, decimals: int = 0) -> float:
    """Return voting power, of a number or of the text of a whole number in the token's smallest unit.

    Raises TypeError or ValueError for what is none, or is below 0.
    """
    if isinstance(value, str):
        if len(value) > _LARGEST_TEXT or not value.isascii() or not value.isdecimal():
            raise ValueError("must be a whole number")
        value = int(value)
    number = count_of(value) / 10.0**decimals
    # More than any token has; sums of such figures stay far inside float64.
    if not 0 <= number <= _MOST_VOTES:
        raise ValueError("must be at least 0, and no more than there can be")
    return number


def whole_of(value: Any, *, most: int) -> int:
    """Return a whole number from 0 to `most`; raises TypeError or ValueError for what is none."""
    number = count_of(value)
    if not number.is_integer() or not 0 <= number <= most:
        raise ValueError(f"must be a whole number up to {most}")
    return int(number)
