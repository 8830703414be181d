"""Arithmetic on Integers of 32 bits.

The specification bounds the type and says nothing of sums and products beyond it. They are a math error here,
as its ABS of the least Integer is: a wrapped result would let events pass that nobody asked for.
"""

from collections.abc import Callable, Mapping

from alphapulse_broker.cesql.errors import ErrorKind, EvaluationFailed
from alphapulse_broker.cesql.syntax import MAX_INTEGER, MIN_INTEGER


def negative(value: int) -> int:
    """Return the number with the other sign."""
    return _bounded(-value)


def absolute(value: int) -> int:
    """Return the number without its sign; of the least Integer the greatest, with a math error."""
    if value == MIN_INTEGER:
        raise EvaluationFailed(ErrorKind.MATH, f"{-value} is beyond 32 bits", MAX_INTEGER)
    return abs(value)


def _sum(left: int, right: int) -> int:
    return _bounded(left + right)


def _difference(left: int, right: int) -> int:
    return _bounded(left - right)


def _product(left: int, right: int) -> int:
    return _bounded(left * right)


def _quotient(left: int, right: int) -> int:
    if right == 0:
        raise EvaluationFailed(ErrorKind.MATH, f"{left} / 0")
    size = abs(left) // abs(right)
    return _bounded(size if (left < 0) == (right < 0) else -size)


def _remainder(left: int, right: int) -> int:
    if right == 0:
        raise EvaluationFailed(ErrorKind.MATH, f"{left} % 0")
    size = abs(left) % abs(right)
    return size if left >= 0 else -size


def _bounded(value: int) -> int:
    if MIN_INTEGER <= value <= MAX_INTEGER:
        return value
    raise EvaluationFailed(ErrorKind.MATH, f"{value} is beyond 32 bits")


ARITHMETIC: Mapping[str, Callable[[int, int], int]] = {
    "+": _sum,
    "-": _difference,
    "*": _product,
    "/": _quotient,
    "%": _remainder,
}
