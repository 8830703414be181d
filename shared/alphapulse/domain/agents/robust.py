"""Statistics of a figure against its own past, which outliers and holes do not upset.

Functions take ``float64`` arrays, oldest first, in which NaN is a hole, and give no warnings for the values
that :mod:`alphapulse.domain.agents.history` lets through.

References
----------
F. R. Hampel, The Influence Curve and Its Role in Robust Estimation, JASA 69, 1974 (median absolute
deviation).
B. Iglewicz, D. C. Hoaglin, How to Detect and Handle Outliers, ASQC, 1993 (modified z-score; the mean
absolute deviation where more than half of the values are alike).
"""

from typing import Final

import numpy as np

from alphapulse.domain.indicators import FloatArray

# Of a normal distribution, standard deviation / median and / mean absolute deviation.
_DEVIATION_PER_MEDIAN: Final = 1.482602
_DEVIATION_PER_MEAN: Final = 1.253314
# Relative to the size of the values, less than this is rounding noise of float64 and not movement.
_NO_MOVEMENT: Final = 1e-9
_DAYS_OF_YEAR: Final = 365


def known(values: FloatArray) -> FloatArray:
    """Return the values without holes."""
    return values[np.isfinite(values)]


def is_still(values: FloatArray) -> bool:
    """Tell whether all values are alike up to rounding; holes do not count."""
    if len(values) and abs(values[-1] - values[0]) > _NO_MOVEMENT * max(abs(values[0]), abs(values[-1])):
        return False
    present = known(values)
    if not len(present):
        return True
    least, most = float(present.min()), float(present.max())
    return most - least <= _NO_MOVEMENT * max(abs(least), abs(most))


def logs(values: FloatArray) -> FloatArray:
    """Return natural logarithms, with holes where a value is not positive."""
    return np.asarray(np.log(np.where(values > 0.0, values, np.nan)), dtype=np.float64)


def trailing_means(values: FloatArray, days: int) -> FloatArray:
    """Return the means of each `days` days, of which at least half must be known.

    Returns
    -------
    ndarray of float64, shape (max(n - days + 1, 0),)
        Aligned to the last day; NaN where too few days are known.
    """
    if len(values) < days:
        return np.empty(0)
    window, present = np.ones(days), np.isfinite(values)
    # Each sum anew: running sums would leave the rounding of a huge day in all later ones.
    if present.all():
        return np.convolve(values, window, "valid") / days
    counts = np.rint(np.convolve(present.astype(np.float64), window, "valid"))
    sums = np.convolve(np.where(present, values, 0.0), window, "valid")
    return np.where(2 * counts >= days, sums / np.maximum(counts, 1.0), np.nan)


def median(values: FloatArray) -> float:
    """Return the median of values without holes, at least one."""
    ordered, middle = values.copy(), len(values) // 2
    ordered.sort()
    return float(ordered[middle] if len(values) % 2 else 0.5 * (ordered[middle - 1] + ordered[middle]))


def robust_z(value: float, past: FloatArray) -> float | None:
    """Return how many robust standard deviations a value is above the median of the past.

    ``(value - median) / (1.4826 MAD)``, or ``/ (1.2533 mean absolute deviation)`` when more than half of the
    past is alike. None when the past did not move. `past` has no holes and does not contain the value, so
    that the result rises strictly with it.
    """
    centre = median(past)
    deviations = np.abs(past - centre)
    still = _NO_MOVEMENT * max(1.0, abs(centre))
    scale = _DEVIATION_PER_MEDIAN * median(deviations)
    if scale <= still:
        scale = _DEVIATION_PER_MEAN * float(deviations.mean())
    return (value - centre) / scale if scale > still else None


def rank_in(value: float, past: FloatArray) -> float:
    """Return the share of the past below a value, ties counted half, in [0, 1]; `past` has no holes."""
    below, alike = np.count_nonzero(past < value), np.count_nonzero(past == value)
    return float((below + 0.5 * alike) / len(past))


def yearly_medians(values: FloatArray) -> FloatArray:
    """Return the median of each whole year of 365 days, counted back from the last day, oldest first.

    NaN for a year of which less than half is known.
    """
    years = len(values) // _DAYS_OF_YEAR
    blocks = np.sort(values[len(values) - years * _DAYS_OF_YEAR :].reshape(years, _DAYS_OF_YEAR), axis=1)
    counts = np.count_nonzero(np.isfinite(blocks), axis=1)
    # Sorted, holes are last: the middle of a year is the middle of what is known of it.
    rows, least = np.arange(years), np.maximum(counts, 1)
    middles = 0.5 * (blocks[rows, (least - 1) // 2] + blocks[rows, least // 2])
    return np.where(2 * counts >= _DAYS_OF_YEAR, middles, np.nan)
