"""The broker's rig with a cluster: the controller's table instead of manifests on disk."""

import sys
from pathlib import Path
from typing import Any

import aiohttp
from redis import Redis

from alphapulse_local.embedded.process import free_port, spawn
from tests.integration.broker.rig import QUICK, Rig
from tests.integration.broker_controller.cluster import Cluster

NAMESPACE = "alphapulse"
CLASS = {"eventing.knative.dev/broker.class": "RedisBroker"}


def broker(
    name: str = "default", *, namespace: str = NAMESPACE, annotations: dict[str, str] | None = None
) -> dict[str, Any]:
    return {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Broker",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations or CLASS},
        "spec": {"delivery": QUICK},
    }


def trigger(name: str, *, to: dict[str, Any], types: str = "", **spec: Any) -> dict[str, Any]:
    content: dict[str, Any] = {"broker": "default", "subscriber": to}
    if types:
        content["filters"] = [{"exact": {"type": types}}]
    return {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Trigger",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {**content, **spec},
    }


def pods(service: str, *, ready: bool = True) -> dict[str, Any]:
    """The EndpointSlice of a Service with one pod."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service}-x",
            "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": service},
        },
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}],
    }


class ClusterRig(Rig):
    """Starts the API server and the controller too; triggers are objects of that cluster."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.cluster = Cluster()
        self.controller_port = free_port()
        self.settings |= {"BROKER_RESYNC_SECONDS": "2"}

    @property
    def environment(self) -> dict[str, str]:
        rest = {name: value for name, value in super().environment.items() if name != "BROKER_TRIGGERS"}
        return {**rest, "BROKER_CONTROLLER_PORT": str(self.controller_port)}

    async def start(self, *_: dict[str, Any]) -> None:
        await self.cluster.start()
        await self.sinks.start()
        self._session = aiohttp.ClientSession()
        self.redis.start()
        for command in ("ingress", "dispatcher"):
            self.launch(command)
        self.launch_controller()
        await self.cluster.apply(pods("default-broker-ingress"), pods("default-broker-dispatcher"), broker())
        # The slices say so from the beginning; here the pods' probes catch up with them.
        for port in (self.ingress_port, self.dispatcher_port, self.controller_port):
            await self.until_ready(port)

    def launch_controller(self) -> None:
        kubeconfig = self.cluster.kubeconfig(self.directory / "kubeconfig")
        self.processes["controller"] = spawn(
            [sys.executable, "-m", "alphapulse_broker", "controller"],
            log=self.log("controller"),
            environment={**self.environment, "KUBECONFIG": str(kubeconfig)},
        )

    async def close(self) -> None:
        await super().close()
        await self.cluster.stop()

    def service(self, name: str, *, url: str, ready: bool = True) -> dict[str, Any]:
        """A Knative Service with an address."""
        conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
        return {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "status": {"address": {"url": url}, "conditions": conditions},
        }

    async def delete_trigger(self, name: str) -> None:
        await self.cluster.delete("Trigger", NAMESPACE, name)

    async def until_gone(self, name: str, *, kind: str = "Trigger", seconds: float = 15) -> None:
        await self.until(lambda: self.cluster.get(kind, NAMESPACE, name) is None, seconds=seconds)

    def reason(self, name: str, condition: str = "Ready", *, kind: str = "Trigger") -> tuple[str, str]:
        """Status and reason of a condition."""
        found = self.cluster.conditions(kind, NAMESPACE, name).get(condition, {})
        return found.get("status", ""), found.get("reason", "")

    def sink(self, name: str) -> dict[str, Any]:
        return {"uri": f"http://127.0.0.1:{self.sinks.port}/{name}"}

    async def until_trigger_ready(self, *names: str) -> None:
        await self.until(lambda: all(self.cluster.is_ready("Trigger", NAMESPACE, name) for name in names))

    def stored(self) -> set[str]:
        """The broker's keys in Redis, without those that say which processes live."""
        with Redis.from_url(self.redis.url, decode_responses=True) as client:
            found = {str(key).partition("}:")[2] for key in client.scan_iter()}
        return {key for key in found if not key.startswith("process")}
