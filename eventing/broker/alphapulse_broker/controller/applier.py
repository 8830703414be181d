"""Carries out what a reconciliation decided, one object at a time: one that fails holds up no other."""

from dataclasses import replace
from typing import Any

import structlog

from alphapulse_broker.controller.kubernetes import ApiUnavailable, KubernetesApi, ObjectChanged, ObjectGone
from alphapulse_broker.controller.logs import BrokerLogs
from alphapulse_broker.controller.manifests import FINALIZER, Key, Manifest, key
from alphapulse_broker.controller.metrics import ControllerMetrics
from alphapulse_broker.controller.observation import Observation
from alphapulse_broker.controller.reconcile import Kind, Plan, Removal, StatusChange
from alphapulse_broker.errors import LogUnavailable

_LOGGER = structlog.get_logger("broker.controller")

_PLURALS: dict[Kind, str] = {"Broker": "brokers", "Trigger": "triggers"}


class Applier:
    """Writes to the API server and to the logs. What could not be done shows in the next look."""

    def __init__(self, api: KubernetesApi, logs: BrokerLogs, metrics: ControllerMetrics) -> None:
        self._api = api
        self._logs = logs
        self._metrics = metrics
        self._written: dict[tuple[Kind, Key], Manifest] = {}
        self.is_complete = True

    async def claim(self, plan: Plan, observation: Observation) -> Observation:
        """Put the finalizer on objects; return the observation with them as they are now."""
        changed: dict[tuple[Kind, Key], Manifest] = {}
        for kind, manifest in plan.claims:
            finalizers = [*_finalizers(manifest), FINALIZER]
            claimed = await self._patch(kind, manifest, _with_finalizers(manifest, finalizers))
            if claimed is not None:
                changed[kind, key(manifest)] = claimed
        return replace(
            observation,
            brokers=tuple(changed.get(("Broker", key(it)), it) for it in observation.brokers),
            triggers=tuple(changed.get(("Trigger", key(it)), it) for it in observation.triggers),
        )

    async def publish(self, plan: Plan, observation: Observation) -> None:
        """Put tables in force."""
        for broker, table in plan.tables.items():
            state = observation.states[broker]
            try:
                changed = await self._logs.publish(broker, table, replacing=state.revision)
            except LogUnavailable as error:
                self._failed("table_not_published", broker, error)
                continue
            if changed:
                count = len(table.triggers)
                _LOGGER.info("table_published", broker=str(broker), revision=table.revision, triggers=count)

    async def report(self, changes: list[StatusChange]) -> None:
        """Write changed statuses."""
        for change in changes:
            patch = {"status": change.patch}
            await self._patch(change.kind, change.manifest, patch, subresource="/status")

    async def remove(self, plan: Plan) -> None:
        """Remove the keys of triggers and brokers that are gone, and let their objects go."""
        for removal in plan.removals:
            await self._remove(removal)
        for broker in plan.closures:
            try:
                await self._logs.close_broker(key(broker))
            except LogUnavailable as error:
                self._failed("broker_not_closed", key(broker), error)
                continue
            await self._release("Broker", broker)
        for kind, manifest in plan.releases:
            await self._release(kind, manifest)

    async def _remove(self, removal: Removal) -> None:
        try:
            parked = await self._logs.retire(removal.broker, removal.trigger)
        except LogUnavailable as error:
            self._failed("trigger_not_removed", Key(removal.broker.namespace, removal.trigger), error)
            return
        _LOGGER.info("trigger_removed", broker=str(removal.broker), trigger=removal.trigger, parked=parked)
        if removal.releases is not None:
            await self._release("Trigger", removal.releases)

    async def _release(self, kind: Kind, manifest: Manifest) -> None:
        # Its status may have been written in this very turn; that is no change by somebody else.
        current = self._written.get((kind, key(manifest)), manifest)
        rest = [name for name in _finalizers(current) if name != FINALIZER]
        await self._patch(kind, current, _with_finalizers(current, rest))

    async def _patch(
        self, kind: Kind, manifest: Manifest, change: dict[str, Any], *, subresource: str = ""
    ) -> Manifest | None:
        name = key(manifest)
        try:
            written = await self._api.patch(_PLURALS[kind], name, change, subresource=subresource)
        except ObjectGone:
            return None
        except (ObjectChanged, ApiUnavailable) as error:
            self._failed(f"{kind.lower()}_not_written", name, error)
            return None
        self._written[kind, name] = written
        return written

    def _failed(self, event: str, name: Key, error: Exception) -> None:
        self.is_complete = False
        self._metrics.failures.labels(event).inc()
        _LOGGER.warning(event, object=str(name), reason=str(error))


def _finalizers(manifest: Manifest) -> list[str]:
    return list(manifest["metadata"].get("finalizers") or ())


def _with_finalizers(manifest: Manifest, finalizers: list[str]) -> dict[str, Any]:
    # With the version that was read: a finalizer somebody else added meanwhile is not undone.
    version = manifest["metadata"]["resourceVersion"]
    return {"metadata": {"finalizers": finalizers, "resourceVersion": version}}
