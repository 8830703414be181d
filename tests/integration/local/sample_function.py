"""A function process for the gateway's tests: what it does is chosen by path and by `FUNCTION`."""

import asyncio
import os
import signal

from aiohttp import WSMsgType, web

BROKEN_EXIT_STATUS = 7


async def health(_: web.Request) -> web.Response:
    return web.Response(text="alive")


async def echo(request: web.Request) -> web.Response:
    body = await request.read()
    return web.json_response(
        {
            "pid": os.getpid(),
            "method": request.method,
            "path": request.raw_path,
            "headers": [[name, value] for name, value in request.headers.items()],
            "body": body.decode(),
            "environment": dict(os.environ),
        },
        headers={"X-Echo": "1", "Connection": "X-Secret-Hop", "X-Secret-Hop": "1"},
    )


async def fixed(_: web.Request) -> web.Response:
    return web.Response(text="fixed")


async def measure(request: web.Request) -> web.Response:
    """Count a body's bytes without ever holding it whole."""
    size = 0
    async for part in request.content.iter_any():
        size += len(part)
    return web.json_response({"size": size})


async def slow(request: web.Request) -> web.Response:
    await asyncio.sleep(float(request.query["seconds"]))
    return web.Response(text="late")


async def stream(request: web.Request) -> web.StreamResponse:
    """Send a first part, then wait until the caller has confirmed it on `/confirm`."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    await answer.write(b"first\n")
    await request.app["confirmed"].wait()
    await answer.write(b"second\n")
    return answer


async def confirm(request: web.Request) -> web.Response:
    request.app["confirmed"].set()
    return web.Response(status=204)


async def cut(request: web.Request) -> web.StreamResponse:
    """Begin an answer and die."""
    answer = web.StreamResponse(headers={"Content-Length": "1000000"})
    await answer.prepare(request)
    await answer.write(b"x" * 100_000)
    os._exit(3)


async def crash(_: web.Request) -> web.Response:
    os._exit(3)


async def chat(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=["alphapulse"])
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            if message.data == "bye":
                await socket.close(code=4001)
                break
            await socket.send_str(message.data + "!")
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data[::-1])
    return socket


def main() -> None:
    if os.environ["FUNCTION"] == "broken":
        raise SystemExit(BROKEN_EXIT_STATUS)
    if os.environ["FUNCTION"] == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    app = web.Application(client_max_size=0)
    app["confirmed"] = asyncio.Event()
    app.add_routes(
        [
            web.get("/health", health),
            web.get("/echo/slow", slow),
            web.get("/echo/fixed", fixed),
            web.get("/echo/stream", stream),
            web.post("/echo/confirm", confirm),
            web.get("/echo/cut", cut),
            web.post("/echo/crash", crash),
            web.post("/echo/measure", measure),
            web.get("/echo/chat", chat),
            web.route("*", "/{path:.*}", echo),
        ]
    )
    ignores_sigterm = os.environ["FUNCTION"] == "stubborn"
    web.run_app(
        app,
        host=os.environ["HOST"],
        port=int(os.environ["PORT"]),
        print=None,
        access_log=None,
        handle_signals=not ignores_sigterm,
        shutdown_timeout=1,
    )


if __name__ == "__main__":
    main()
