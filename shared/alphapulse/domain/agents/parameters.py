"""The named settings of an agent: declared once, with default, bounds and meaning."""

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from itertools import pairwise
from typing import Any, ClassVar, Final, Self

_BOUND: Final = "bound"


class InvalidParameters(ValueError):
    """A parameter is unknown, outside its bounds, or contradicts another."""


@dataclass(frozen=True, slots=True)
class ParameterBound:
    """What one parameter may be.

    Attributes
    ----------
    least, most : float
        Both allowed.
    whole : bool
        Whether it must be a whole number.
    meaning : str
        For people, with its unit.
    """

    least: float
    most: float
    whole: bool
    meaning: str


def parameter(default: float, least: float, most: float, meaning: str) -> Any:
    """Declare a parameter in the body of a :class:`Parameters` class.

    An ``int`` as default makes it a whole number, a ``float`` any number.
    """
    bound = ParameterBound(least, most, whole=isinstance(default, int), meaning=meaning)
    return field(default=default, metadata={_BOUND: bound})


@dataclass(frozen=True, slots=True)
class Parameters:
    """Settings of an agent; a subclass declares each with :func:`parameter`.

    Raises
    ------
    InvalidParameters
        When one is out of bounds, or :meth:`check` refuses the combination.
    """

    # Subclasses are dataclasses too; this is what `dataclasses.fields` needs to know.
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __post_init__(self) -> None:
        for name, bound in self.bounds().items():
            _require_within(name, getattr(self, name), bound)
        self.check()

    def check(self) -> None:
        """Refuse values that are within their bounds and contradict each other.

        Raises
        ------
        InvalidParameters
            Naming them.
        """

    @classmethod
    def bounds(cls) -> Mapping[str, ParameterBound]:
        """Return what each parameter may be, in order of declaration."""
        return {item.name: item.metadata[_BOUND] for item in fields(cls)}

    @classmethod
    def of(cls, settings: Mapping[str, object]) -> Self:
        """Build parameters from a tenant's settings; what is not set keeps its default.

        Raises
        ------
        InvalidParameters
            For an unknown name, a value of another type, or as the class says.
        """
        unknown = sorted(settings.keys() - cls.bounds().keys())
        if unknown:
            raise InvalidParameters(f"unknown parameters: {', '.join(unknown)}")
        return cls(**settings)


def require_order(parameters: Parameters, *names: str) -> None:
    """Refuse parameters that do not rise strictly in the order of `names`.

    Raises
    ------
    InvalidParameters
        Naming the first pair that does not.
    """
    for lesser, greater in pairwise(names):
        low, high = getattr(parameters, lesser), getattr(parameters, greater)
        if low >= high:
            raise InvalidParameters(f"{lesser} must be less than {greater}, was {low} and {high}")


def require_at_most(parameters: Parameters, lesser: str, greater: str) -> None:
    """Refuse a parameter that is above another.

    Raises
    ------
    InvalidParameters
        Naming both.
    """
    low, high = getattr(parameters, lesser), getattr(parameters, greater)
    if low > high:
        raise InvalidParameters(f"{lesser} must be at most {greater}, was {low} and {high}")


def total_weight(parameters: Parameters) -> float:
    """Return the sum of the parameters called ``weight_...``, by which a score is divided.

    Raises
    ------
    InvalidParameters
        When it is 0.
    """
    total = sum(getattr(parameters, name) for name in parameters.bounds() if name.startswith("weight_"))
    if total <= 0:
        raise InvalidParameters("at least one weight must be above 0")
    return float(total)


def _require_within(name: str, value: object, bound: ParameterBound) -> None:
    number = isinstance(value, int if bound.whole else (int, float)) and not isinstance(value, bool)
    if not number or not bound.least <= value <= bound.most:  # type: ignore[operator]  # a number by now
        kind = "a whole number" if bound.whole else "a number"
        raise InvalidParameters(
            f"{name} must be {kind} from {bound.least:g} to {bound.most:g}, was {value!r}"
        )
