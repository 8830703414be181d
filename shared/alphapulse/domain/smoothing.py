"""Recursive averages over whole series: the one recursion behind EMA and Wilder's smoothing.

``y[t] = (1 - share) y[t-1] + share x[t]`` with a given ``y[0]``. A linear filter of scipy would do the same,
but importing ``scipy.signal`` takes longer than the cold start of a whole function. Here the recursion runs
in blocks: what a block adds is one matrix product for all blocks at once, and only the carry from block to
block is a step of Python. Nothing is divided by vanishing powers of the decay.
"""

from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]

_BLOCK: Final = 64


def smoothed(series: FloatArray, seed: FloatArray, share: float) -> FloatArray:
    """Return the running averages of several series.

    Parameters
    ----------
    series : ndarray, shape (m, n)
        Finite; ``n`` may be 0.
    seed : ndarray, shape (m,)
        Where each average starts.
    share : float
        Weight of a new value, in (0, 1].

    Returns
    -------
    ndarray, shape (m, n + 1)
        The seed and the average at each value.
    """
    rows, bars = series.shape
    averages = np.empty((rows, bars + 1))
    averages[:, 0] = seed
    if not bars:
        return averages
    carried, mixed = _block_weights(share)
    blocks = -(-bars // _BLOCK)
    padded = np.zeros((rows, blocks * _BLOCK))
    padded[:, :bars] = series
    local = (padded.reshape(-1, _BLOCK) @ mixed).reshape(rows, blocks, _BLOCK)
    carries = _carries(seed.tolist(), local[:, :, -1].tolist(), float(carried[-1]))
    local += np.array(carries)[:, :, None] * carried
    averages[:, 1:] = local.reshape(rows, -1)[:, :bars]
    return averages


def smoothed_end(series: FloatArray, seed: FloatArray, share: float) -> FloatArray:
    """Return the newest averages alone, each a weighted sum: the end of :func:`smoothed` but for rounding.

    Returns
    -------
    ndarray, shape (m, 1)
    """
    weights, kept = _end_weights(series.shape[1], share)
    return (series @ weights + kept * seed)[:, None]


def _carries(seeds: list[float], ends: list[list[float]], decay: float) -> list[list[float]]:
    carries = []
    for seed, row in zip(seeds, ends, strict=True):
        carry, before = seed, []
        for end in row:
            before.append(carry)
            carry = decay * carry + end
        carries.append(before)
    return carries


@lru_cache(maxsize=64)
def _block_weights(share: float) -> tuple[FloatArray, FloatArray]:
    decay = 1.0 - share
    steps = np.arange(_BLOCK)
    # A value's weight in the averages of its block: rows are values, columns are averages.
    distance = steps[None, :] - steps[:, None]
    mixed = np.where(distance >= 0, share * decay ** np.maximum(distance, 0), 0.0)
    return np.asarray(decay ** (steps + 1.0), np.float64), np.asarray(mixed, np.float64)


@lru_cache(maxsize=256)
def _end_weights(bars: int, share: float) -> tuple[FloatArray, float]:
    decay = 1.0 - share
    weights = share * decay ** np.arange(bars - 1, -1, -1.0)
    return np.asarray(weights, np.float64), decay**bars
