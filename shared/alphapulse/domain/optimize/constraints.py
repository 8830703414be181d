"""What weights must satisfy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.optimize.errors import InvalidProblem


@dataclass(frozen=True, slots=True)
class Group:
    """Assets whose weights together have limits, such as a sector.

    Attributes
    ----------
    name : str
    assets : tuple of str
        Members.
    at_least, at_most : float
        Limits of the sum of their weights.
    """

    name: str
    assets: tuple[str, ...]
    at_least: float = -np.inf
    at_most: float = np.inf


@dataclass(frozen=True, slots=True, eq=False)
class Constraints:
    """Limits of weights; long-only and fully invested unless told otherwise.

    Attributes
    ----------
    assets : tuple of str
        Names, in the order of the moments.
    lower, upper : ndarray of float64, shape (n_assets,)
        Bounds of each weight; a number holds for all.
    groups : tuple of Group
    cash : float
        Share kept out of the assets; weights sum to ``1 - cash``. In [0, 1).
    present : ndarray of float64, shape (n_assets,), or None
        Weights held now; needed for a turnover limit or a cost.
    turnover : float or None
        Most of ``sum(abs(weight - present))``, buys and sells counted both.
    cost : ndarray of float64, shape (n_assets,)
        Share of what is bought or sold that it costs; taken from the expected return.
    """

    assets: tuple[str, ...]
    lower: ArrayLike = 0.0
    upper: ArrayLike = 1.0
    groups: tuple[Group, ...] = ()
    cash: float = 0.0
    present: ArrayLike | None = None
    turnover: float | None = None
    cost: ArrayLike = 0.0

    def __post_init__(self) -> None:
        if not self.assets or len(set(self.assets)) != len(self.assets):
            raise InvalidProblem("needs at least one asset, each with its own name")
        if not 0.0 <= self.cash < 1.0:
            raise InvalidProblem(f"cash must be at least 0 and below 1, was {self.cash}")
        for name in ("lower", "upper", "cost"):
            object.__setattr__(self, name, self._per_asset(name, getattr(self, name)))
        if self.present is not None:
            object.__setattr__(self, "present", self._per_asset("present", self.present))
        elif self.turnover is not None or self.costs.any():
            raise InvalidProblem("a turnover limit or a cost needs the present weights")
        if self.costs.min() < 0.0 or (self.turnover is not None and not self.turnover >= 0.0):
            raise InvalidProblem("costs and the turnover limit must not be negative")
        for group in self.groups:
            if unknown := set(group.assets) - set(self.assets):
                raise InvalidProblem(f"group {group.name} has unknown assets: {', '.join(sorted(unknown))}")

    @property
    def costs(self) -> FloatArray:
        """Cost per asset, shape (n_assets,)."""
        return np.asarray(self.cost, dtype=np.float64)

    @property
    def invested(self) -> float:
        """What the weights sum to."""
        return 1.0 - self.cash

    def members(self, group: Group) -> FloatArray:
        """Return 1 for members of a group and 0 for others, shape (n_assets,)."""
        return np.array([float(asset in group.assets) for asset in self.assets])

    def _per_asset(self, name: str, values: ArrayLike) -> FloatArray:
        found = np.asarray(values, dtype=np.float64)
        if found.ndim == 0:
            found = np.full(len(self.assets), float(found))
        if found.shape != (len(self.assets),) or not np.isfinite(found).all():
            raise InvalidProblem(f"{name} needs one finite number for each of {len(self.assets)} assets")
        return found


def long_only(assets: Sequence[str] | int) -> Constraints:
    """Return constraints without any limit but no short position; a number gives assets numbered names."""
    names = tuple(f"asset {i}" for i in range(assets)) if isinstance(assets, int) else tuple(assets)
    return Constraints(names)
