"""Have a step fail: its effect is wrapped before the function is built; the product knows nothing of it."""

import importlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from alphapulse.provisioning.runs import Run
from alphapulse.provisioning.steps import Step
from alphapulse.runtime.errors import DependencyDown, Invalid
from alphapulse.runtime.work import TenantWork
from tests.function.provisioning.courier import Killed

EFFECTS = {
    Step.DATABASE: "open_books",
    Step.VAULT: "write_policy",
    Step.CACHE: "open_namespace",
    Step.BILLING: "make_customer",
    Step.VERIFY: "verify",
    Step.ACTIVATE: "activate",
}

Effect = Callable[[TenantWork, Run], Awaitable[Mapping[str, Any]]]
Fault = Callable[[Effect, TenantWork, Run], Awaitable[Mapping[str, Any]]]


def have(monkeypatch: pytest.MonkeyPatch, step: Step, fault: Fault) -> None:
    """Put a fault around a step's effect."""
    service = importlib.import_module(f"functions.provision_{step}.service")
    effect: Effect = getattr(service, EFFECTS[step])

    async def faulty(work: TenantWork, run: Run) -> Mapping[str, Any]:
        return await fault(effect, work, run)

    monkeypatch.setattr(service, EFFECTS[step], faulty)


class Times:
    """Fail the first `count` times, before or after the effect, with what `error` makes."""

    def __init__(self, count: int, error: Callable[[], BaseException], *, after_effect: bool = False) -> None:
        self.left = count
        self._error = error
        self._after_effect = after_effect

    async def __call__(self, effect: Effect, work: TenantWork, run: Run) -> Mapping[str, Any]:
        if not self.left:
            return await effect(work, run)
        self.left -= 1
        if self._after_effect:
            await effect(work, run)
        raise self._error()


def unavailable() -> BaseException:
    return DependencyDown("the store is on its way to a better place")


def refused() -> BaseException:
    return Invalid("the store will never do this")


def killed() -> BaseException:
    return Killed


ALWAYS = 1_000
