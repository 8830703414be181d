"""Looks at the cluster and at the logs."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from alphapulse_broker.controller.conditions import Finding, unknown
from alphapulse_broker.controller.kubernetes import (
    EVENTING,
    POLICIES,
    SLICES,
    ApiUnavailable,
    KubernetesApi,
    ObjectGone,
)
from alphapulse_broker.controller.logs import BrokerLogs
from alphapulse_broker.controller.manifests import (
    Key,
    Manifest,
    broker_of,
    is_deleting,
    is_held,
    is_ours,
    key,
)
from alphapulse_broker.controller.observation import (
    BrokerState,
    Observation,
    endpoints_finding,
    policies_finding,
)
from alphapulse_broker.controller.references import (
    Reference,
    Referent,
    Referents,
    references,
    referent_of,
    unreadable,
)
from alphapulse_broker.errors import LogUnavailable
from alphapulse_broker.settings import Settings

_AT_ONCE = 8


class Observer:
    """Builds observations. What references point at is read again after `resync_seconds` or a change."""

    def __init__(
        self,
        settings: Settings,
        api: KubernetesApi,
        logs: BrokerLogs,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._api = api
        self._logs = logs
        self._clock = clock
        self._referents: dict[Reference, tuple[datetime, Referent]] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def forget(self, reference: Reference) -> bool:
        """Drop what is known of an object that changed; tell whether anything was."""
        return self._referents.pop(reference, None) is not None

    async def observe(self) -> Observation:
        """Return one complete look.

        Raises
        ------
        ApiUnavailable, ObjectGone
            The Brokers and Triggers could not be listed: nothing may be concluded.
        """
        brokers = await self._api.objects(f"{EVENTING}/brokers")
        triggers = await self._api.objects(f"{EVENTING}/triggers")
        ours = {key(broker): broker for broker in brokers if is_ours(broker)}
        mine = [it for it in triggers if broker_of(it) in ours or is_held(it)]
        states = await asyncio.gather(
            *(
                self._state(broker, [it for it in mine if broker_of(it) == name])
                for name, broker in ours.items()
            )
        )
        return Observation(
            brokers=tuple(brokers),
            triggers=tuple(mine),
            referents=await self._resolved(references(ours.values(), mine)),
            states=dict(zip(ours, states, strict=True)),
            now=self._clock(),
        )

    async def log_state(self, broker: Key, state: BrokerState, leaving: Iterable[str]) -> BrokerState:
        """Return a state with what the log says now."""
        try:
            revision, table = await self._logs.in_force(broker)
            remaining = {name: await self._logs.undelivered(broker, name) for name in leaving}
        except LogUnavailable as error:
            problem = str(error)
            revision, table, remaining = None, None, {}
        else:
            problem = ""
        return BrokerState(
            log_problem=problem,
            revision=revision,
            table=table,
            remaining=remaining,
            ingress=state.ingress,
            dispatcher=state.dispatcher,
            policies=state.policies,
        )

    async def _state(self, broker: Manifest, triggers: list[Manifest]) -> BrokerState:
        name = key(broker)
        ingress = self._settings.ingress_service.format(name=name.name)
        dispatcher = self._settings.dispatcher_service.format(name=name.name)
        seen = BrokerState(
            ingress=await self._endpoints(name.namespace, ingress),
            dispatcher=await self._endpoints(name.namespace, dispatcher),
            policies=await self._policies(broker),
        )
        leaving = [key(it).name for it in triggers if is_deleting(it) or is_deleting(broker)]
        return await self.log_state(name, seen, leaving)

    async def _endpoints(self, namespace: str, service: str) -> Finding:
        try:
            slices = await self._api.objects(
                f"{SLICES}/namespaces/{namespace}/endpointslices",
                labelSelector=f"kubernetes.io/service-name={service}",
            )
        except (ApiUnavailable, ObjectGone) as error:
            return unknown("EndpointsNotRead", str(error))
        return endpoints_finding(service, slices)

    async def _policies(self, broker: Manifest) -> Finding:
        try:
            found = await self._api.objects(f"{POLICIES}/namespaces/{key(broker).namespace}/eventpolicies")
        except ObjectGone:
            found = []  # a cluster without that kind has none
        except ApiUnavailable as error:
            return unknown("EventPoliciesNotRead", str(error))
        return policies_finding(broker, found)

    async def _resolved(self, wanted: set[Reference]) -> Referents:
        for known in set(self._referents) - wanted:
            del self._referents[known]
        found = await asyncio.gather(*(self._referent(reference) for reference in wanted))
        return dict(zip(wanted, found, strict=True))

    async def _referent(self, reference: Reference) -> Referent:
        now = self._clock()
        at, known = self._referents.get(reference, (None, None))
        if (
            at
            and known
            and known.address.holds
            and (now - at).total_seconds() < self._settings.resync_seconds
        ):
            return known
        try:
            async with self._turns:
                found = await self._api.referent(reference)
        except ApiUnavailable as error:
            return unreadable(reference, str(error))
        referent = referent_of(reference, found, cluster_domain=self._settings.cluster_domain)
        self._referents[reference] = (now, referent)
        return referent
