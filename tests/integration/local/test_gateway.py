"""The gateway passes requests on as a cluster's would, and answers itself where it must."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest
from yarl import URL

from alphapulse_local.manifests import FunctionManifest
from tests.integration.local.laptop import OpenLaptop, until


async def test_unknown_path_is_a_404_problem(laptop: OpenLaptop, manifest: FunctionManifest) -> None:
    platform = await laptop(manifest)

    async with platform.client.get(platform.url + "/nothing/here") as answer:
        problem = await answer.json(content_type="application/problem+json")

    assert answer.status == 404
    assert problem["code"] == "not_found"
    assert problem["instance"] == "/nothing/here"
    assert len(problem["trace_id"]) == 32


@pytest.mark.parametrize(
    "path",
    [
        *("/health", "/ready", "/metrics", "/services/echo/metrics", "/_platform/status", "/echoes", "/"),
        *("/echo/../metrics", "/echo/%2e%2e/metrics", "/echo/..%2Fmetrics", "/echo/./x"),
    ],
)
async def test_inner_paths_are_not_exposed(laptop: OpenLaptop, manifest: FunctionManifest, path: str) -> None:
    platform = await laptop(manifest)
    port = int(platform.url.rpartition(":")[2])

    # A raw request: clients resolve dot segments themselves.
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    status = (await reader.readline()).split()[1]
    writer.close()
    await writer.wait_closed()

    assert status == b"404"
    assert platform.echo.process is None


async def test_gateway_answers_healthz_itself(laptop: OpenLaptop, manifest: FunctionManifest) -> None:
    platform = await laptop(manifest)

    async with platform.client.get(platform.url + "/healthz") as answer:
        assert answer.status == 200

    assert platform.echo.process is None


async def test_request_arrives_whole_with_forwarding_headers(
    laptop: OpenLaptop, manifest: FunctionManifest
) -> None:
    platform = await laptop(manifest)

    async with platform.client.put(
        URL(platform.url + "/echo/a%20b?x=1&y=%2F", encoded=True),
        data="payload",
        headers={"X-Forwarded-For": "6.6.6.6", "X-Own": "kept", "X-Hop": "1", "Connection": "X-Hop"},
    ) as answer:
        seen = await answer.json()

    headers = {name.lower(): value for name, value in seen["headers"]}
    assert (seen["method"], seen["path"], seen["body"]) == ("PUT", "/echo/a%20b?x=1&y=%2F", "payload")
    assert headers["x-own"] == "kept"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-host"] == platform.url.removeprefix("http://")
    assert headers["traceparent"].startswith("00-")
    assert headers["x-request-id"] == answer.headers["X-Request-Id"]
    assert "x-hop" not in headers


async def test_callers_trace_and_request_id_are_kept(laptop: OpenLaptop, manifest: FunctionManifest) -> None:
    platform = await laptop(manifest)
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"

    async with platform.client.get(
        platform.url + "/echo", headers={"traceparent": trace, "X-Request-Id": "mine-1"}
    ) as answer:
        headers = {name.lower(): value for name, value in (await answer.json())["headers"]}

    assert headers["traceparent"] == trace
    assert answer.headers["X-Request-Id"] == "mine-1"


async def test_answer_loses_its_hop_by_hop_headers(laptop: OpenLaptop, manifest: FunctionManifest) -> None:
    platform = await laptop(manifest)

    async with platform.client.get(platform.url + "/echo") as answer:
        await answer.read()

    assert answer.headers["X-Echo"] == "1"
    assert "X-Secret-Hop" not in answer.headers
    assert answer.headers["Server"] == "alphapulse"


async def test_head_keeps_the_length_of_the_body_it_lacks(
    laptop: OpenLaptop, manifest: FunctionManifest
) -> None:
    platform = await laptop(manifest)
    async with platform.client.get(platform.url + "/echo/fixed") as answer:
        length = answer.headers["Content-Length"]

    async with platform.client.head(platform.url + "/echo/fixed") as answer:
        assert await answer.read() == b""

    assert answer.status == 200
    assert answer.headers["Content-Length"] == length == "5"


async def test_function_sees_only_its_own_environment(
    laptop: OpenLaptop, manifest: FunctionManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_PARENTS_SECRET", "x")
    platform = await laptop(manifest)

    async with platform.client.get(platform.url + "/echo") as answer:
        environment = (await answer.json())["environment"]

    assert set(environment) - {"LC_CTYPE"} == {"FUNCTION", "HOST", "PORT"}


async def test_compressed_body_is_passed_on_as_it_came(
    laptop: OpenLaptop, manifest: FunctionManifest
) -> None:
    platform = await laptop(manifest)
    body = gzip.compress(b"x" * 1000)

    async with platform.client.post(
        platform.url + "/echo/measure", data=body, headers={"Content-Encoding": "gzip"}
    ) as answer:
        # The sample function decodes; had the gateway decoded too, this would be an error.
        assert (await answer.json())["size"] == 1000


async def test_large_body_is_streamed_to_the_function(laptop: OpenLaptop, manifest: FunctionManifest) -> None:
    platform = await laptop(manifest)

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 65_536

    async with platform.client.post(platform.url + "/echo/measure", data=parts()) as answer:
        assert (await answer.json())["size"] == 64 * 65_536


async def test_answer_is_streamed_while_the_function_still_writes(
    laptop: OpenLaptop, manifest: FunctionManifest
) -> None:
    platform = await laptop(manifest)

    async with platform.client.get(platform.url + "/echo/stream") as answer:
        assert await answer.content.readline() == b"first\n"
        async with platform.client.post(platform.url + "/echo/confirm") as confirmed:
            assert confirmed.status == 204
        assert await answer.content.readline() == b"second\n"


async def test_answer_that_breaks_off_is_not_taken_for_a_whole_one(
    laptop: OpenLaptop, manifest: FunctionManifest
) -> None:
    platform = await laptop(manifest)

    with pytest.raises(aiohttp.ClientError):
        async with platform.client.get(platform.url + "/echo/cut") as answer:
            await answer.read()


async def test_timeout_seconds_is_a_504_problem(laptop: OpenLaptop, manifest: FunctionManifest) -> None:
    platform = await laptop(replace(manifest, timeout_seconds=0.3))

    async with platform.client.get(platform.url + "/echo/slow?seconds=20") as answer:
        problem = await answer.json(content_type="application/problem+json")

    assert answer.status == 504
    assert problem["code"] == "function_timeout"


async def test_websocket_messages_pass_both_ways(laptop: OpenLaptop, manifest: FunctionManifest) -> None:
    platform = await laptop(manifest)

    async with platform.client.ws_connect(
        platform.url + "/echo/chat", protocols=["alphapulse", "other"]
    ) as socket:
        await socket.send_str("hello")
        assert await socket.receive_str() == "hello!"
        await socket.send_bytes(b"abc")
        assert await socket.receive_bytes() == b"cba"
        await socket.send_str("bye")
        await socket.receive()

    assert socket.protocol == "alphapulse"
    assert socket.close_code == 4001
    await until(lambda: platform.echo.in_flight == 0)


async def test_refused_websocket_keeps_the_functions_status(
    laptop: OpenLaptop, manifest: FunctionManifest
) -> None:
    platform = await laptop(manifest)

    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await platform.client.ws_connect(platform.url + "/echo/slow?seconds=0")

    assert refusal.value.status == 200


async def test_internal_port_reaches_a_function_by_name(
    laptop: OpenLaptop, manifest: FunctionManifest
) -> None:
    platform = await laptop(manifest)

    async with platform.client.post(
        platform.internal_url + "/services/echo/?a=1", headers={"ce-id": "1"}
    ) as answer:
        seen = await answer.json()

    assert seen["path"] == "/?a=1"
    assert ["ce-id", "1"] in [[name.lower(), value] for name, value in seen["headers"]]


async def test_internal_port_knows_no_other_function(laptop: OpenLaptop, manifest: FunctionManifest) -> None:
    platform = await laptop(manifest)

    async with platform.client.post(platform.internal_url + "/services/nobody") as answer:
        problem = await answer.json(content_type="application/problem+json")

    assert answer.status == 404
    assert problem["code"] == "not_found"
