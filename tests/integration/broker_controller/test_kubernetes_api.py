"""What the controller makes of an API server that does not do as it should."""

from collections.abc import AsyncIterator

import kopf
import pytest
from aiohttp import web

from alphapulse_broker.controller.kubernetes import ApiUnavailable, KubernetesApi, ObjectGone

ANSWERS = {
    "torn": web.Response(text='{"items": [', content_type="application/json"),
    "page": web.Response(text="<html>", content_type="text/html"),
    "busy": web.Response(status=429, text="slow down"),
    "none": web.Response(status=404, text='{"message": "not here"}', content_type="application/json"),
}


@pytest.fixture
async def server() -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        found = ANSWERS[request.match_info["name"]]
        return web.Response(status=found.status, text=found.text, content_type=found.content_type)

    app = web.Application()
    app.router.add_get("/{name}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("path", "error", "says"),
    [
        ("torn", ApiUnavailable, "JSONDecodeError"),
        ("page", ApiUnavailable, "ContentTypeError"),
        ("busy", ApiUnavailable, "429 slow down"),
        ("none", ObjectGone, "not here"),
    ],
)
async def test_13_answer_that_is_no_list_is_an_outage_and_no_crash(
    server: str, path: str, error: type[Exception], says: str
) -> None:
    async with KubernetesApi(lambda: kopf.ConnectionInfo(server=server)) as api:
        with pytest.raises(error, match=says):
            await api.objects(path)


async def test_13_credentials_that_cannot_be_used_are_an_outage_and_no_crash(server: str) -> None:
    secure = server.replace("http:", "https:")
    login = kopf.ConnectionInfo(server=secure, ca_path="/nowhere/ca.crt")

    async with KubernetesApi(lambda: login) as api:
        with pytest.raises(ApiUnavailable, match="FileNotFoundError"):
            await api.objects("brokers")
