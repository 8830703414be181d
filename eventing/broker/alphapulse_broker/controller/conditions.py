"""Conditions of a status, and what changes in a status as they do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from alphapulse_broker.controller.manifests import Manifest, status

Status = Literal["True", "False", "Unknown"]

READY = "Ready"


@dataclass(frozen=True)
class Finding:
    """How something stands; anything but True says why."""

    status: Status = "True"
    reason: str = ""
    message: str = ""

    @property
    def holds(self) -> bool:
        """Whether the status is True."""
        return self.status == "True"


HOLDS = Finding()


@dataclass(frozen=True)
class Condition:
    """A finding under the name it has in a status."""

    type: str
    finding: Finding


def false(reason: str, message: str) -> Finding:
    """Return a finding that something is wrong."""
    return Finding("False", reason, message)


def unknown(reason: str, message: str) -> Finding:
    """Return a finding that it cannot be told, or not yet."""
    return Finding("Unknown", reason, message)


def with_ready(conditions: Sequence[Condition]) -> list[Condition]:
    """Add Ready: True when all are, else as the first that is False, else as the first that is Unknown."""
    failing = [entry.finding for entry in conditions if not entry.finding.holds]
    failing.sort(key=lambda finding: finding.status != "False")
    return [*conditions, Condition(READY, failing[0] if failing else Finding())]


def status_patch(
    manifest: Manifest,
    *,
    conditions: Iterable[Condition],
    fields: Mapping[str, Any],
    now: datetime,
) -> dict[str, Any]:
    """Return what a merge patch of `status` has to say; empty when the status is right already.

    Parameters
    ----------
    fields
        Further fields of the status; None removes one.
    """
    found = status(manifest)
    wanted = {
        "observedGeneration": manifest["metadata"].get("generation"),
        "conditions": _rendered(conditions, before=found.get("conditions") or (), now=now),
        **fields,
    }
    return {name: value for name, value in wanted.items() if found.get(name) != value}


def _rendered(
    conditions: Iterable[Condition], *, before: Iterable[Manifest], now: datetime
) -> list[dict[str, str]]:
    known = {entry.get("type"): entry for entry in before}
    rendered = []
    for condition in sorted(conditions, key=lambda entry: entry.type):
        finding, old = condition.finding, known.get(condition.type, {})
        # The time says when the status changed; another reason for the same status keeps it.
        same = old.get("status") == finding.status and "lastTransitionTime" in old
        moment = str(old["lastTransitionTime"]) if same else now.strftime("%Y-%m-%dT%H:%M:%SZ")
        entry = {"lastTransitionTime": moment, "status": finding.status, "type": condition.type}
        if finding.reason:
            entry["reason"] = finding.reason
        if finding.message:
            entry["message"] = finding.message
        rendered.append(entry)
    return rendered
