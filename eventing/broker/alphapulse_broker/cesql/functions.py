"""The built-in functions of CESQL."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from alphapulse_broker.cesql.arithmetic import absolute
from alphapulse_broker.cesql.casts import MAX_TEXT, Type, to_boolean, to_integer, to_string
from alphapulse_broker.cesql.errors import ErrorKind, EvaluationFailed
from alphapulse_broker.cesql.syntax import Value

# Unicode's White_Space property; str.strip() would take the control characters U+001C to U+001F as well.
_WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


@dataclass(frozen=True)
class Function:
    """One signature.

    Attributes
    ----------
    parameters
        Types that arguments are cast to; None takes any.
    variadic
        Whether any number of further Strings may follow.
    """

    parameters: tuple[Type | None, ...]
    returns: Type
    implementation: Callable[..., Value]
    variadic: bool = False

    def takes(self, arity: int) -> bool:
        """Say whether a call with this many arguments is one of this function."""
        return arity >= len(self.parameters) if self.variadic else arity == len(self.parameters)

    def types(self, arity: int) -> tuple[Type | None, ...]:
        """Return the types that the arguments of a call are cast to."""
        return self.parameters + (str,) * (arity - len(self.parameters))


def find(name: str, arity: int) -> Function | None:
    """Return the function of this upper-case name that takes so many arguments."""
    return next((function for function in FUNCTIONS.get(name, ()) if function.takes(arity)), None)


def _concat(*texts: str) -> str:
    return _bounded("", texts)


def _concat_ws(delimiter: str, *texts: str) -> str:
    return _bounded(delimiter, texts)


def _bounded(delimiter: str, texts: tuple[str, ...]) -> str:
    length = sum(map(len, texts)) + len(delimiter) * max(len(texts) - 1, 0)
    if length > MAX_TEXT:
        raise _failed(f"a text of {length} characters is longer than {MAX_TEXT}", "")
    return delimiter.join(texts)


def _left(text: str, count: int) -> str:
    if count < 0:
        raise _failed(f"LEFT takes no negative count, was {count}", text)
    return text[:count]


def _right(text: str, count: int) -> str:
    if count < 0:
        raise _failed(f"RIGHT takes no negative count, was {count}", text)
    return text[max(len(text) - count, 0) :]


def _substring(text: str, start: int, length: int | None = None) -> str:
    if not -len(text) <= start <= len(text):
        raise _failed(f"SUBSTRING starts within the {len(text)} characters, was {start}", "")
    if length is not None and length < 0:
        raise _failed(f"SUBSTRING takes no negative length, was {length}", "")
    if start == 0:
        return ""
    first = start - 1 if start > 0 else len(text) + start
    return text[first:] if length is None else text[first : first + length]


def _failed(reason: str, value: str) -> EvaluationFailed:
    return EvaluationFailed(ErrorKind.FUNCTION_EVALUATION, reason, value)


def _can(cast: Callable[[Value], Any]) -> Callable[[Value], bool]:
    def castable(value: Value) -> bool:
        try:
            cast(value)
        except EvaluationFailed:
            return False
        return True

    return castable


FUNCTIONS: Mapping[str, tuple[Function, ...]] = {
    "LENGTH": (Function((str,), int, len),),
    "CONCAT": (Function((), str, _concat, variadic=True),),
    "CONCAT_WS": (Function((str,), str, _concat_ws, variadic=True),),
    "LOWER": (Function((str,), str, str.lower),),
    "UPPER": (Function((str,), str, str.upper),),
    "TRIM": (Function((str,), str, lambda text: text.strip(_WHITE_SPACE)),),
    "LEFT": (Function((str, int), str, _left),),
    "RIGHT": (Function((str, int), str, _right),),
    "SUBSTRING": (
        Function((str, int), str, _substring),
        Function((str, int, int), str, _substring),
    ),
    "ABS": (Function((int,), int, absolute),),
    "INT": (Function((None,), int, to_integer),),
    "BOOL": (Function((None,), bool, to_boolean),),
    "STRING": (Function((None,), str, to_string),),
    "IS_INT": (Function((None,), bool, _can(to_integer)),),
    "IS_BOOL": (Function((None,), bool, _can(to_boolean)),),
}
