"""The broker's two processes on a laptop, and what they say about themselves."""

import asyncio
import re
import sys
from collections import defaultdict
from pathlib import Path

import aiohttp

from alphapulse_local.children import Children
from alphapulse_local.embedded.process import free_port
from alphapulse_local.launch import Reporter
from alphapulse_local.servers import BrokerProcess, Supervisor

NAMESPACE = "alphapulse"
NAME = "default"

_DEPTH = re.compile(r'^redisbroker_entries\{state="([^"]+)",trigger="([^"]+)"\} (\S+)$', re.MULTILINE)


class Broker:
    """Ingress and dispatcher under supervision, on ports chosen beforehand.

    Parameters
    ----------
    redis_url
        The broker's own Redis; handed over in the environment, where other users cannot read it.
    subscribers
        Address of a Service as a template with `{name}`.
    """

    def __init__(
        self,
        *,
        root: Path,
        redis_url: str,
        subscribers: str,
        log_level: str,
        processes: Children,
        reporter: Reporter,
    ) -> None:
        self._ingress_port, self._dispatcher_port = free_port(), free_port()
        environment = {
            "BROKER_REDIS_URL": redis_url,
            "BROKER_NAMESPACE": NAMESPACE,
            "BROKER_NAME": NAME,
            "BROKER_TRIGGERS": str(root / "eventing/triggers"),
            "BROKER_SUBSCRIBERS": subscribers,
            "BROKER_PORT": str(self._ingress_port),
            "BROKER_DISPATCHER_PORT": str(self._dispatcher_port),
            "BROKER_LOG_LEVEL": log_level.lower(),
            # Ctrl-C is not to wait for a slow delivery; the log keeps it for the next start.
            "BROKER_SHUTDOWN_SECONDS": "5",
        }
        self.supervisors = {
            f"broker-{role}": Supervisor(
                BrokerProcess(
                    role,
                    [sys.executable, "-m", "alphapulse_broker", role],
                    port=port,
                    environment=environment,
                    processes=processes,
                    cwd=root,
                ),
                processes=processes,
                reporter=reporter,
            )
            for role, port in (("ingress", self._ingress_port), ("dispatcher", self._dispatcher_port))
        }

    @property
    def url(self) -> str:
        """Address events are posted to."""
        return f"http://127.0.0.1:{self._ingress_port}/{NAMESPACE}/{NAME}"

    async def start(self) -> None:
        """Start both processes; what the dispatcher delivers waits until the gateway accepts."""
        await asyncio.gather(*(supervisor.start() for supervisor in self.supervisors.values()))

    async def stop_dispatcher(self) -> None:
        """Stop deliveries; what is in flight is finished or left in the log."""
        await self.supervisors["broker-dispatcher"].stop()

    async def stop(self) -> None:
        """Stop both processes."""
        await asyncio.gather(*(supervisor.stop() for supervisor in self.supervisors.values()))

    async def depths(self, session: aiohttp.ClientSession) -> dict[str, dict[str, int]]:
        """Return entries per trigger and state; empty when the dispatcher does not answer."""
        url = f"http://127.0.0.1:{self._dispatcher_port}/metrics"
        try:
            async with session.get(url, timeout=aiohttp.ClientTimeout(total=2)) as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return {}
        depths: dict[str, dict[str, int]] = defaultdict(dict)
        for state, trigger, count in _DEPTH.findall(text):
            depths[trigger][state] = int(float(count))
        return dict(sorted(depths.items()))
