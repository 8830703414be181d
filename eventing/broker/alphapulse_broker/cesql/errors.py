"""Errors of CESQL.

CesqlError
├── InvalidExpression     the text is no expression, or none a filter can use: found when it is compiled
└── EvaluationFailed      the expression has no proper value for an event
"""

from enum import StrEnum

_SHOWN = 40


class ErrorKind(StrEnum):
    """The kinds that the specification names, spelled as its conformance cases spell them."""

    PARSE = "parse"
    MATH = "math"
    CAST = "cast"
    MISSING_ATTRIBUTE = "missingAttribute"
    MISSING_FUNCTION = "missingFunction"
    FUNCTION_EVALUATION = "functionEvaluation"
    GENERIC = "generic"


class CesqlError(Exception):
    """Root of the errors of CESQL."""

    kind: ErrorKind


class InvalidExpression(CesqlError):
    """An expression is malformed.

    Attributes
    ----------
    line, column
        Where, both counted from 1.
    reason
        What was expected there and what was found.
    """

    kind = ErrorKind.PARSE

    def __init__(self, text: str, position: int, reason: str) -> None:
        self.line = text.count("\n", 0, position) + 1
        self.column = position - text.rfind("\n", 0, position)
        self.reason = reason
        super().__init__(f"line {self.line}, column {self.column}: {reason}")


class EvaluationFailed(CesqlError):
    """An event gives an expression no proper value.

    Attributes
    ----------
    value
        What the failing function is defined to return besides its error; None where that is the zero
        value of its type.
    position
        Where in the expression the failing function is called; None for failures of anything else.
    """

    def __init__(self, kind: ErrorKind, reason: str, value: str | int | None = None) -> None:
        super().__init__(kind, reason)
        self.kind = kind
        self.reason = reason
        self.value = value
        self.position: int | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"


def shown(text: str) -> str:
    """Return a text quoted, and cut where it is too long for a message."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
