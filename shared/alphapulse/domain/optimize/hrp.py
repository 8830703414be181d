"""Hierarchical risk parity, as the paper has it.

Libraries differ from the paper: PyPortfolioOpt links the correlation distances themselves and not the
distances between their columns; skfolio and riskfolio-lib choose other linkages by default and may order the
leaves optimally. Here the distances of distances are linked by the nearest pair, and leaves stay in the order
of the merges.

References
----------
.. [1] M. Lopez de Prado, "Building Diversified Portfolios that Outperform Out of Sample", Journal of
   Portfolio Management 42(4), 2016.
.. [2] J. C. Gower and G. J. S. Ross, "Minimum Spanning Trees and Single Linkage Cluster Analysis", Applied
   Statistics 18(1), 1969.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.optimize.constraints import Constraints
from alphapulse.domain.optimize.errors import InvalidProblem
from alphapulse.domain.optimize.moments import Moments
from alphapulse.domain.optimize.portfolio import Portfolio, portfolio
from alphapulse.domain.risk.covariance import correlation as correlation_of


@dataclass(frozen=True, slots=True, eq=False)
class Hierarchy:
    """A portfolio with the tree it came from.

    Attributes
    ----------
    portfolio : Portfolio
    order : tuple of int
        Assets from left to right in the tree.
    linkage : ndarray of float64, shape (n_assets - 1, 4)
        Merges: two clusters, their distance, the size of what they become, as scipy has them.
    """

    portfolio: Portfolio
    order: tuple[int, ...]
    linkage: FloatArray


def hierarchical_risk_parity(
    covariance: ArrayLike, constraints: Constraints, *, expected: ArrayLike | None = None
) -> Hierarchy:
    """Divide weights between clusters of similar assets by their variances [1]_.

    Inverts nothing, so a singular covariance is taken as it is.

    Parameters
    ----------
    covariance : array_like of float, shape (n_assets, n_assets)
        Every variance positive. NaN is refused.
    constraints : Constraints
        Assets and cash; other limits are refused, since the method knows none.
    expected : array_like of float, shape (n_assets,), optional
        Only to tell the expected return; zeros where not given.

    Raises
    ------
    InvalidProblem
        Not finite, of the wrong shape, not symmetric, or limits.
    UndefinedRatio
        An asset does not vary, so it has no correlation; names which.
    """
    matrix = np.asarray(covariance, dtype=np.float64)
    assets = len(constraints.assets)
    means = np.zeros(assets) if expected is None else np.asarray(expected, dtype=np.float64)
    _require_sound(matrix, means, constraints)
    merges = single_linkage(distance_of_distances(correlation_of(matrix)))
    order = leaves(merges)
    weights = np.empty(assets)
    weights[order] = bisect(matrix[np.ix_(order, order)])
    weights *= constraints.invested / float(weights.sum())
    moments = Moments(means, matrix, "given")
    return Hierarchy(portfolio(weights, moments, constraints, method="hrp"), tuple(order), merges)


def distance_of_distances(correlation: FloatArray) -> FloatArray:
    """Return Euclidean distances between columns of ``sqrt((1 - correlation) / 2)``, shape (n, n)."""
    distance = np.sqrt(np.maximum((1.0 - correlation) / 2.0, 0.0))
    products = distance.T @ distance
    squares = np.diag(products)
    found = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2.0 * products, 0.0))
    np.fill_diagonal(found, 0.0)
    return np.asarray((found + found.T) / 2.0)


def single_linkage(distances: FloatArray) -> FloatArray:
    """Merge nearest clusters first by Prim's spanning tree [2]_; rows as scipy has them, shape (n - 1, 4)."""
    count = len(distances)
    nearest = np.full(count, np.inf)
    parent = np.zeros(count, dtype=np.intp)
    outside = np.ones(count, dtype=bool)
    edges, at = [], 0
    for _ in range(count - 1):
        outside[at] = False
        closer = outside & (distances[at] < nearest)
        nearest[closer] = distances[at][closer]
        parent[closer] = at
        following = int(np.argmin(np.where(outside, nearest, np.inf)))
        edges.append((float(nearest[following]), int(parent[following]), following))
        at = following
    edges.sort(key=lambda edge: edge[0])
    return _labelled(edges, count)


def leaves(merges: FloatArray) -> list[int]:
    """Return the leaves of a tree of merges from left to right."""
    count = len(merges) + 1
    order: list[int] = []
    waiting = [2 * count - 2]
    while waiting:
        node = waiting.pop()
        if node < count:
            order.append(node)
        else:
            left, right = merges[node - count, :2]
            waiting += [int(right), int(left)]
    return order


def bisect(covariance: FloatArray) -> FloatArray:
    """Halve the ordered assets again and again, weights against the variances of the halves; they sum to 1.

    A half's variance is that of its inverse-variance portfolio. The first half is the smaller one.
    """
    weights = np.ones(len(covariance))
    waiting = [(0, len(covariance))]
    while waiting:
        start, end = waiting.pop()
        if end - start < 2:  # noqa: PLR2004 - one asset cannot be halved
            continue
        middle = start + (end - start) // 2
        left, right = _variance(covariance, start, middle), _variance(covariance, middle, end)
        share = 1.0 - left / (left + right)
        weights[start:middle] *= share
        weights[middle:end] *= 1.0 - share
        waiting += [(start, middle), (middle, end)]
    return weights


def _labelled(edges: list[tuple[float, int, int]], count: int) -> FloatArray:
    """Turn edges by length into merges of numbered clusters, the lower number first."""
    cluster, size = list(range(2 * count - 1)), [1] * count + [0] * (count - 1)

    def top(node: int) -> int:
        while cluster[node] != node:
            cluster[node] = cluster[cluster[node]]
            node = cluster[node]
        return node

    merges = np.empty((count - 1, 4))
    for number, (distance, one, other) in enumerate(edges, start=count):
        first, second = sorted((top(one), top(other)))
        cluster[first] = cluster[second] = number
        size[number] = size[first] + size[second]
        merges[number - count] = first, second, distance, size[number]
    return merges


def _variance(covariance: FloatArray, start: int, end: int) -> float:
    part = covariance[start:end, start:end]
    inverse = 1.0 / np.diag(part)
    weights = inverse / inverse.sum()
    return float(weights @ part @ weights)


def _require_sound(matrix: FloatArray, means: FloatArray, constraints: Constraints) -> None:
    assets = len(constraints.assets)
    if matrix.shape != (assets, assets) or means.shape != (assets,):
        raise InvalidProblem(f"a covariance of {matrix.shape} does not fit {assets} assets")
    if not (np.isfinite(matrix).all() and np.isfinite(means).all()):
        raise InvalidProblem("expected returns and covariance must be finite")
    if np.abs(matrix - matrix.T).max() > 1e-9 * np.abs(matrix).max():
        raise InvalidProblem("a covariance must be symmetric")
    bound = (np.asarray(constraints.lower) > 0.0).any() or (np.asarray(constraints.upper) < 1.0).any()
    if bound or constraints.groups or constraints.turnover is not None:
        raise InvalidProblem("hierarchical risk parity knows no bounds, groups or turnover limit")
