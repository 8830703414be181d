"""Why a source gave nothing.

    ProviderError
    ├── AssetUnknown       it has nothing about this asset
    ├── NotConfigured      it wants a key, and none is set
    ├── SourceDown         no answer in time, or a 5xx
    ├── SourceBusy         it takes no more requests for now (429), or our own budget for it is spent
    ├── SourceRefuses      401, 403 or another refusal that asking again will not change
    └── AnswerMalformed    an answer of another shape than documented
        └── BrokenFile     a data file that cannot be read; names file and line

The text of each is a reason that an agent may give for abstaining: no address, no key, nothing of an answer
but what is safe to show.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self


class ProviderError(Exception):
    """A source gave nothing.

    Parameters
    ----------
    reason
        A clause for people.

    Attributes
    ----------
    outcome : str
        For metrics.
    """

    outcome: ClassVar[str] = "failed"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def again(self, reason: str | None = None) -> Self:
        """Return another error of the same kind and facts, to be raised in its place."""
        twin = type(self).__new__(type(self))
        Exception.__init__(twin, reason or self.reason)
        vars(twin).update(vars(self), reason=reason or self.reason)
        return twin


class AssetUnknown(ProviderError):
    """A source has nothing about this asset."""

    outcome = "unknown"


class NotConfigured(ProviderError):
    """A source needs a key, and none is set."""

    outcome = "not_configured"


class SourceDown(ProviderError):
    """A source did not answer in time, or with a 5xx."""

    outcome = "down"


class SourceBusy(ProviderError):
    """A source takes no more requests for now, or our budget for it is spent.

    Attributes
    ----------
    retry_after_seconds : float
        After which it may be asked again.
    """

    outcome = "busy"

    def __init__(self, reason: str, *, retry_after_seconds: float) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


class SourceRefuses(ProviderError):
    """A source refuses the request.

    Attributes
    ----------
    status : int
        Of HTTP.
    """

    outcome = "refused"

    def __init__(self, reason: str, *, status: int) -> None:
        super().__init__(reason)
        self.status = status


class AnswerMalformed(ProviderError):
    """An answer is of another shape than documented."""

    outcome = "malformed"


class BrokenFile(AnswerMalformed):
    """A data file cannot be read.

    Parameters
    ----------
    file
        Its name below the data directory.
    line
        Counted from 1; None when it is the whole file.
    problem
        What is wrong.
    """

    def __init__(self, file: str, line: int | None, problem: str) -> None:
        place = file if line is None else f"{file} line {line}"
        super().__init__(f"{place}: {problem}")


_REMEMBERED: Final = {
    kind.__name__: kind for kind in (AssetUnknown, SourceDown, SourceBusy, SourceRefuses, AnswerMalformed)
}


_FACTS: Final = frozenset({"reason", "retry_after_seconds", "status"})


def document_of(error: ProviderError) -> dict[str, Any] | None:
    """Return an error as a JSON document; None for one that only this process has.

    One of a narrower kind becomes what it is among the above.
    """
    kind = next((name for name, known in _REMEMBERED.items() if isinstance(error, known)), None)
    if kind is None:
        return None
    return {"kind": kind, **{fact: value for fact, value in vars(error).items() if fact in _FACTS}}


def error_of(document: Mapping[str, Any]) -> ProviderError:
    """Return the error of a document.

    Raises
    ------
    KeyError, TypeError
        It is not one of :func:`document_of`.
    """
    facts = dict(document)
    return _REMEMBERED[facts.pop("kind")](facts.pop("reason"), **facts)
