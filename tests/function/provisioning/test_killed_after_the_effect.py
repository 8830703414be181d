"""`kill -9` of each step's process after its effect and before its answer; then the event comes again.

The answer of the store that holds the effect is withheld by a proxy: the effect is there, the step
does not know it yet, and the process is killed at that moment.
"""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from alphapulse.events import Event
from alphapulse.provisioning.steps import ORDER, Step
from alphapulse.runtime.settings import Secret, Settings
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.process import free_port
from tests.function.provisioning.conftest import SignUps
from tests.function.provisioning.courier import Courier
from tests.function.provisioning.inspection import ACCOUNT, Stores
from tests.processes import ROOT, minimal_environment
from tests.tcp_proxy import TcpProxy

DEADLINE_SECONDS = 30


@dataclass(frozen=True)
class Moment:
    """Where a step's effect goes, and the request after which its answer is withheld."""

    store: str
    request: bytes
    times: int = 1


# A step that acts in PostgreSQL has its effect with the second commit; the first one counts the attempt.
MOMENTS = {
    Step.DATABASE: Moment("postgres", b"COMMIT", 2),
    Step.VAULT: Moment("vault", b"/v1/sys/policies/acl/tenant-"),
    Step.CACHE: Moment("redis", b"usage_bytes"),
    Step.BILLING: Moment("stripe", b"POST /v1/customers "),
    Step.VERIFY: Moment("postgres", b"COMMIT", 2),
    Step.ACTIVATE: Moment("postgres", b"COMMIT", 2),
}


class Process:
    """A step's function as it is served."""

    def __init__(self, step: Step, settings: Settings, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        names = (
            "database_url",
            "platform_database_url",
            "redis_url",
            "broker_url",
            "vault_addr",
            "vault_role_id_file",
            "vault_secret_id_file",
            "stripe_api_key",
            "stripe_api_base",
        )
        values = {name.upper(): getattr(settings, name) for name in names}
        environment = {n: v.reveal() if isinstance(v, Secret) else str(v) for n, v in values.items()}
        with (folder / "function.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "alphapulse.serve"],
                cwd=ROOT,
                env=minimal_environment()
                | environment
                | {"FUNCTION": f"provision_{step}", "PORT": str(port), "HOST": "127.0.0.1"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    async def deliver(self, event: Event) -> httpx.Response:
        """Deliver an event once the process answers."""
        headers, body = event.to_http()
        async with httpx.AsyncClient(trust_env=False, timeout=DEADLINE_SECONDS) as client:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while True:
                    try:
                        await client.get(f"{self.url}/health")
                        break
                    except httpx.TransportError:
                        await asyncio.sleep(0.05)
            return await client.post(self.url, headers=headers, content=body)

    def kill(self) -> None:
        """`kill -9`."""
        self._process.kill()
        self._process.wait()


@pytest.fixture
async def platform_proxy(proxies: dict[str, TcpProxy]) -> object:
    """Before PostgreSQL for the platform's role alone, whose commits are counted."""
    proxy = TcpProxy(proxies["postgres"]._target)
    await proxy.up()
    yield proxy
    await proxy.down()


@pytest.mark.parametrize("step", ORDER)
async def test_the_effect_is_found_again_and_is_there_once(  # noqa: PLR0917 - fixtures
    sign_ups: SignUps,
    courier: Courier,
    stores: Stores,
    proxies: dict[str, TcpProxy],
    platform_proxy: TcpProxy,
    function_settings: Settings,
    tmp_path: Path,
    step: Step,
) -> None:
    tenant, event = await sign_ups.new()
    for earlier in ORDER[: ORDER.index(step)]:
        (event,) = await courier._to_step(earlier, event)
    moment = MOMENTS[step]
    proxy = platform_proxy if moment.store == "postgres" else proxies[moment.store]
    platform_url = function_settings.platform_database_url
    assert platform_url is not None
    settings = function_settings.replace(
        platform_database_url=Secret(platform_proxy.before(platform_url.reveal()))
    )
    proxy.fall_silent_after(moment.request, times=moment.times)

    first = Process(step, settings, tmp_path)
    unanswered = asyncio.create_task(first.deliver(event))
    await until(lambda: has_effect(sign_ups, stores, tenant, step), unanswered)
    first.kill()
    await asyncio.gather(unanswered, return_exceptions=True)
    proxy.speak()
    second = Process(step, settings, tmp_path)
    try:
        answer = await delivered(second, event)
    finally:
        second.kill()

    assert isinstance(unanswered.exception(), httpx.TransportError)
    assert Event.from_http(answer.headers, answer.content).name == step.tells
    found = await stores.of(tenant, but=ACCOUNT)
    assert len(found.get("stripe", [])) == (1 if ORDER.index(step) >= ORDER.index(Step.BILLING) else 0)
    assert (await sign_ups.steps(tenant))[step]["status"] == "done"


async def has_effect(sign_ups: SignUps, stores: Stores, tenant: TenantId, step: Step) -> bool:
    """Tell whether what the step makes is there, looked up behind its back."""
    if MOMENTS[step].store == "postgres":
        return bool((await sign_ups.steps(tenant))[step]["status"] == "done")
    return bool((await stores.of(tenant, but=ACCOUNT)).get(MOMENTS[step].store))


async def until(look: Callable[[], Awaitable[bool]], request: asyncio.Task[httpx.Response]) -> None:
    """Wait for the effect, while the request that has it stays unanswered."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await look():
            assert not request.done(), request.result().text
            await asyncio.sleep(0.02)


async def delivered(process: Process, event: Event) -> httpx.Response:
    """Deliver as the broker does until it is done: the dead process's lock goes with its connection."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (answer := await process.deliver(event)).status_code == 503:
            await asyncio.sleep(0.1)
    assert answer.status_code == 200, answer.text
    return answer
