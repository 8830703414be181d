"""How long each optimiser takes, beside PyPortfolioOpt and skfolio at the same optimum in the same run."""

import argparse
import importlib.util
import itertools
import resource
import time
import warnings
from collections.abc import Callable

import numpy as np

from alphapulse.domain.optimize.constraints import Constraints
from alphapulse.domain.optimize.hrp import hierarchical_risk_parity
from alphapulse.domain.optimize.mean_variance import (
    max_sharpe,
    min_variance,
    target_return,
    target_volatility,
)
from alphapulse.domain.optimize.moments import estimate
from alphapulse.domain.optimize.risk_parity import risk_parity
from alphapulse.domain.risk.covariance import sample_covariance
from tests.bench.report import Cell, print_table, write_report

SIZES = (20, 100, 500)
OBSERVATIONS = (365, 1000)
YEAR = 365
#: Weights of peers differ by less than this where both solve the same programme.
SAME = 5e-3

Weights = Callable[[], np.ndarray]


def returns_of(assets: int, observations: int) -> np.ndarray:
    """Draw returns of three factors and of each asset's own."""
    generator = np.random.default_rng(assets)
    factors = generator.normal(0, 0.02, (observations, 3))
    own = generator.normal(0.0008, 0.02, (observations, assets)) * generator.uniform(0.5, 2.0, assets)
    return np.maximum(factors @ generator.uniform(0.2, 1.2, (3, assets)) + own, -0.9)


def ours(returns: np.ndarray) -> dict[str, Weights]:
    """Return our methods, from returns to weights."""
    constraints = Constraints(tuple(f"A{i}" for i in range(returns.shape[1])))
    reached = middle_return(returns)
    risk = min_variance(estimate(returns), constraints).volatility * 1.2
    return {
        "min_variance": lambda: min_variance(estimate(returns), constraints).weights,
        "max_sharpe": lambda: max_sharpe(estimate(returns), constraints).weights,
        "target_return": lambda: target_return(estimate(returns), constraints, at_least=reached).weights,
        "target_volatility": lambda: target_volatility(estimate(returns), constraints, at_most=risk).weights,
        "risk_parity": lambda: risk_parity(estimate(returns), constraints).weights,
        "hrp": lambda: (
            hierarchical_risk_parity(sample_covariance(returns).matrix, constraints).portfolio.weights
        ),
    }


def pyportfolioopt(returns: np.ndarray) -> dict[str, Weights]:
    """Return PyPortfolioOpt's methods; its HRP is a variant, so it is only timed."""
    import pandas as pd  # noqa: PLC0415 - a peer, which need not be there
    import pypfopt  # noqa: PLC0415

    moments = estimate(returns)
    reached, constraints = middle_return(returns), Constraints(tuple(map(str, range(returns.shape[1]))))
    risk = min_variance(moments, constraints).volatility * 1.2

    def of(ask: Callable[[object], object], solver: str | None = None) -> Weights:
        def run() -> np.ndarray:
            # Per year, as it expects; numpy's covariance is quicker than its own, and ours where shrunk.
            covariance = np.cov(returns, rowvar=False) if moments.shrinkage is None else moments.covariance
            # Its default solver gives up on some of these; Clarabel is another of its own choices.
            peer = pypfopt.EfficientFrontier(returns.mean(axis=0) * YEAR, covariance * YEAR, solver=solver)
            return np.array(list(ask(peer).values()))  # type: ignore[attr-defined]

        return run

    def hierarchy() -> np.ndarray:
        return np.array(list(pypfopt.HRPOpt(pd.DataFrame(returns)).optimize().values()))

    return {
        "min_variance": of(lambda peer: peer.min_volatility()),  # type: ignore[attr-defined]
        "max_sharpe": of(lambda peer: peer.max_sharpe(risk_free_rate=0.0), "CLARABEL"),  # type: ignore[attr-defined]
        "target_return": of(lambda peer: peer.efficient_return(reached * YEAR)),  # type: ignore[attr-defined]
        "target_volatility": of(lambda peer: peer.efficient_risk(risk * YEAR**0.5)),  # type: ignore[attr-defined]
        "hrp": hierarchy,
    }


def skfolio(returns: np.ndarray) -> dict[str, Weights]:
    """Return skfolio's methods, on its empirical prior; its HRP is a variant, so it is only timed."""
    from skfolio import optimization  # noqa: PLC0415 - a peer, which need not be there

    goal = optimization.ObjectiveFunction

    def of(make: Callable[[], object]) -> Weights:
        return lambda: np.asarray(make().fit(returns).weights_)  # type: ignore[attr-defined]

    return {
        "min_variance": of(lambda: optimization.MeanRisk(objective_function=goal.MINIMIZE_RISK)),
        "max_sharpe": of(lambda: optimization.MeanRisk(objective_function=goal.MAXIMIZE_RATIO)),
        "risk_parity": of(optimization.RiskBudgeting),
        "hrp": of(optimization.HierarchicalRiskParity),
    }


def middle_return(returns: np.ndarray) -> float:
    """Return a target between the mean and the best asset's return."""
    means = returns.mean(axis=0)
    return float((means.mean() + means.max()) / 2.0)


def milliseconds(run: Weights, budget_seconds: float) -> tuple[float, np.ndarray]:
    """Return the fastest of some runs after a first one, and the weights."""
    found, best, until = run(), float("inf"), time.perf_counter() + budget_seconds
    for repeat in itertools.count():
        started = time.perf_counter()
        found = run()
        best = min(best, time.perf_counter() - started)
        if repeat >= 2 and time.perf_counter() > until:
            return best * 1e3, found
    raise AssertionError


def measure(
    assets: int,
    observations: int,
    peers: dict[str, Callable[[np.ndarray], dict[str, Weights]]],
    seconds: float,
) -> tuple[list[list[Cell]], dict[str, float]]:
    """Time every method at one size."""
    returns = returns_of(assets, observations)
    others = {name: make(returns) for name, make in peers.items()}
    suffix = f"{assets}" if observations == OBSERVATIONS[0] else f"{assets}x{observations}"
    rows, figures = [], {}
    for method, run in ours(returns).items():
        own, weights = milliseconds(run, seconds)
        figures[f"{method}_{suffix}_ms"] = own
        times, apart = {}, 0.0
        for name, methods in others.items():
            if method in methods:
                try:
                    times[name], theirs = milliseconds(methods[method], seconds)
                except Exception as error:  # noqa: BLE001 - a peer that fails is told and not timed
                    print(f"{name} {method} {suffix}: {type(error).__name__}: {str(error)[:80]}")
                    continue
                figures[f"{method}_{suffix}_{name}_ms"] = times[name]
                # skfolio takes a singular sample covariance as it is, where ours and the other are shrunk.
                if method != "hrp" and not (name == "skfolio" and observations <= assets):
                    apart = max(apart, float(np.abs(theirs - weights).max()))
        if times:
            figures[f"{method}_{suffix}_speedup"] = min(times.values()) / own
        speedup = min(times.values()) / own if times else None
        rows.append(
            [method, assets, observations, own, *(times.get(name) for name in peers), speedup, apart < SAME]
        )
    return rows, figures


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each method and size")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    peers = {
        name: make
        for name, module, make in (
            ("pyportfolioopt", "pypfopt", pyportfolioopt),
            ("skfolio", "skfolio", skfolio),
        )
        if importlib.util.find_spec(module)
    }
    if len(peers) < 2:
        print(
            "Peers are missing: pip install pyportfolioopt skfolio, then run python -m tests.bench.bench_risk"
        )
    table, figures = [], {}
    for assets, observations in itertools.product(options.sizes, OBSERVATIONS):
        rows, found = measure(assets, observations, peers, options.seconds)
        table += rows
        figures |= found
    figures["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    columns = ["method", "assets", "observations", "ours ms", *(f"{name} ms" for name in peers)]
    print_table("Optimisers, from returns to weights", [*columns, "speedup", "same optimum"], table)
    write_report("risk", figures)


if __name__ == "__main__":
    main()
