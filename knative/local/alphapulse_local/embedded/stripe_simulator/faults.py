"""Faults on demand, so that what happens when Stripe fails can be seen.

`POST /_simulation/faults` with the key and `method, path, times` (1), and one of: `status` (answer this
without doing anything; a 500 is kept for the idempotency key, as Stripe does), `lost=true` (do it and
close the connection without an answer). `DELETE /_simulation/faults` takes them away.
"""

from dataclasses import dataclass

from alphapulse_local.embedded.stripe_simulator.errors import Refusal
from alphapulse_local.embedded.stripe_simulator.parameters import Parameters
from alphapulse_local.embedded.stripe_simulator.store import Document

PATH = "/_simulation/faults"


@dataclass
class Fault:
    """What becomes of the next `times` requests to a path."""

    method: str
    path: str
    times: int
    status: int | None
    lost: bool

    def refusal(self) -> Refusal:
        """Return the answer."""
        status = self.status or 500
        if status == 429:  # noqa: PLR2004 - Stripe's words for it
            return Refusal("Too many requests", status=status, code="rate_limit")
        return Refusal("A fault that was asked for", status=status, kind="api_error")


class Faults:
    """Those waiting to happen."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, parameters: Parameters) -> Document:
        """Have requests fail."""
        fault = Fault(
            method=parameters.needed("method").upper(),
            path=parameters.needed("path"),
            times=parameters.integer("times", least=1) or 1,
            status=parameters.integer("status", least=400, most=599),
            lost=parameters.flag("lost") or False,
        )
        parameters.done()
        if (fault.status is None) != fault.lost:
            raise Refusal("A fault has either a status or lost=true")
        self._waiting.append(fault)
        return {"object": "fault", "waiting": len(self._waiting)}

    def clear(self) -> Document:
        """Forget those that have not happened."""
        self._waiting.clear()
        return {"object": "fault", "waiting": 0}

    def next(self, method: str, path: str) -> Fault | None:
        """Return what is to become of this request."""
        for fault in self._waiting:
            if fault.method == method and path.startswith(fault.path):
                fault.times -= 1
                if fault.times == 0:
                    self._waiting.remove(fault)
                return fault
        return None
