"""Looks, decides, acts, and waits until there is reason to look again."""

import asyncio
import contextlib
import time
from dataclasses import replace

import structlog

from alphapulse_broker.controller.applier import Applier
from alphapulse_broker.controller.kubernetes import ApiUnavailable, KubernetesApi, ObjectGone
from alphapulse_broker.controller.logs import BrokerLogs
from alphapulse_broker.controller.manifests import Key
from alphapulse_broker.controller.metrics import ControllerMetrics
from alphapulse_broker.controller.observation import Observation
from alphapulse_broker.controller.observer import Observer
from alphapulse_broker.controller.reconcile import reconcile
from alphapulse_broker.controller.references import Reference
from alphapulse_broker.settings import Settings

_LOGGER = structlog.get_logger("broker.controller")

# Changes come in groups (one `kubectl apply`): a moment's patience saves looks.
_GATHER_SECONDS = 0.1
# While something is under way: a drain, a pod that starts, a server that does not answer.
_SOON_SECONDS = 1.0
# A drain that finds nothing left takes two: one table without new events, one without the trigger.
_PUBLICATIONS = 3


class ControlLoop:
    """The reconciliation of the whole cluster, again and again; each turn starts from nothing.

    `looked` is set by the first turn that succeeds, `last_turn` is when one last did (monotonic), and
    `problem` says why the last one failed.
    """

    def __init__(
        self, settings: Settings, api: KubernetesApi, logs: BrokerLogs, metrics: ControllerMetrics
    ) -> None:
        self._settings = settings
        self._api = api
        self._logs = logs
        self._metrics = metrics
        self._observer = Observer(settings, api, logs)
        self._changed = asyncio.Event()
        self.problem = "the cluster was not looked at yet"
        self.looked = asyncio.Event()
        self.last_turn = time.monotonic()

    def look_again(self) -> None:
        """Say that a Broker or Trigger changed."""
        self._changed.set()

    def referent_changed(self, reference: Reference) -> None:
        """Say that another object changed; it matters only if somebody refers to it."""
        if self._observer.forget(reference):
            self._changed.set()

    async def run(self) -> None:
        """Reconcile until cancelled."""
        while True:
            self._changed.clear()
            settled = False
            try:
                with self._metrics.turn_seconds.time():
                    settled = await self.turn()
                self._metrics.turns.labels("settled" if settled else "unsettled").inc()
                self._metrics.last_turn.set_to_current_time()
                self.problem = ""
                self.last_turn = time.monotonic()
                self.looked.set()
            except (ApiUnavailable, ObjectGone) as error:
                if self.problem != str(error):
                    _LOGGER.warning("cluster_not_readable", reason=str(error))
                self.problem = str(error)
                self._metrics.turns.labels("failed").inc()
            wait = self._settings.resync_seconds if settled else _SOON_SECONDS
            with contextlib.suppress(TimeoutError):
                # Not wait_for, which before Python 3.12 may swallow a cancellation.
                async with asyncio.timeout(min(wait, self._settings.resync_seconds)):
                    await self._changed.wait()
            await asyncio.sleep(_GATHER_SECONDS)

    async def turn(self) -> bool:
        """Reconcile once; tell whether everything is where it should be.

        The order matters: the finalizer is on a trigger before a table names it, a table is in
        force before a status says so, and keys go when no table in force names them any more.
        """
        applier = Applier(self._api, self._logs, self._metrics)
        observation = await self._observer.observe()
        plan = reconcile(observation, self._settings)
        if plan.claims:
            observation = await applier.claim(plan, observation)
            plan = reconcile(observation, self._settings)
        for _ in range(_PUBLICATIONS):
            if not plan.tables:
                break
            await applier.publish(plan, observation)
            observation = await self._with_logs(observation, set(plan.tables))
            plan = reconcile(observation, self._settings)
        await applier.report(plan.statuses)
        await applier.remove(plan)
        self._metrics.stand(plan.standings)
        return plan.is_settled and applier.is_complete

    async def _with_logs(self, observation: Observation, brokers: set[Key]) -> Observation:
        states = dict(observation.states)
        for broker in brokers:
            leaving = list(states[broker].remaining)
            states[broker] = await self._observer.log_state(broker, states[broker], leaving)
        return replace(observation, states=states)
