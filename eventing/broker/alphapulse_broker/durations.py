"""ISO 8601 durations, as DeliverySpec uses them."""

import re
from datetime import timedelta
from functools import lru_cache

_PATTERN = re.compile(
    r"P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:[.,]\d+)?)S)?)?"
)


@lru_cache(maxsize=256)
def parse_duration(text: str) -> timedelta:
    """Return the length of an ISO 8601 duration such as `PT0.2S` or `P1DT2H`.

    Years and months are refused, since they have no fixed length.

    Raises
    ------
    ValueError
        The text is no such duration.
    """
    match = _PATTERN.fullmatch(text)
    if match is None or not any(match.groupdict().values()):
        raise ValueError(f"expected an ISO 8601 duration such as PT0.5S, was {text!r}")
    parts = {unit: float(value.replace(",", ".")) for unit, value in match.groupdict().items() if value}
    try:
        return timedelta(**parts)
    except OverflowError as error:
        raise ValueError(f"the duration {text!r} is too long") from error
