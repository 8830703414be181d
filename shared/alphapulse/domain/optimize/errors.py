"""Why a portfolio cannot be optimised.

Errors
------
RiskError
`-- OptimizationError
    +-- InvalidProblem      not finite, not of the right shape, or a constraint that means nothing
    +-- SingularCovariance  cannot be mended: nothing varies, or it is no covariance
    +-- Infeasible          constraints that contradict each other, by name
    `-- NotConverged        the solver gave up
"""

from alphapulse.domain.risk.returns import RiskError


class OptimizationError(RiskError):
    """A portfolio cannot be optimised; the message says why."""


class InvalidProblem(OptimizationError):
    """What was given is not finite, not of the right shape, or means nothing."""


class SingularCovariance(OptimizationError):
    """A covariance that shrinkage cannot mend."""


class Infeasible(OptimizationError):
    """No weights satisfy all constraints.

    Attributes
    ----------
    constraints : tuple of str
        An irreducible conflict: without any one of them the others can be satisfied.
    """

    def __init__(self, constraints: tuple[str, ...]) -> None:
        super().__init__(f"no weights satisfy all of: {'; '.join(constraints)}")
        self.constraints = constraints


class NotConverged(OptimizationError):
    """The solver gave up."""
