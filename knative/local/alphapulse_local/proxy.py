"""Pass one HTTP request or WebSocket on to a function's process."""

import asyncio
from collections.abc import Iterable

import aiohttp
import orjson
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from alphapulse.runtime.errors import FunctionError
from alphapulse.runtime.problems import MEDIA_TYPE, problem
from alphapulse_local.failures import FunctionCrashed, FunctionTimeout, FunctionUnavailable
from alphapulse_local.function import Function

# Up to this size a body is passed on in one piece, which costs one write instead of several.
SMALL_BODY_BYTES = 64 * 1024
_CONNECT_ATTEMPTS = 2
_MESSAGE_LIMIT_BYTES = 4 * 1024 * 1024

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        # The server in front has answered it already.
        "expect",
    }
)


def end_to_end(headers: CIMultiDictProxy[str], *, drop: Iterable[str] = ()) -> CIMultiDict[str]:
    """Return the headers without hop-by-hop ones, those named by `Connection`, and `drop`."""
    named = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    refused = _HOP_BY_HOP | named | set(drop)
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in refused)


def problem_answer(error: FunctionError, *, path: str, trace_id: str) -> web.Response:
    """Return an error as problem+json."""
    # Bytes, because aiohttp adds a charset to texts, which the media type does not have.
    headers = {"Content-Type": MEDIA_TYPE}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    document = problem(error, instance=path, trace_id=trace_id)
    return web.Response(body=orjson.dumps(document), status=error.status, headers=headers)


def new_session() -> aiohttp.ClientSession:
    """Return the client that talks to the functions: no decoding, no cookies, no redirects of its own."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )


class Proxy:
    """Passes requests to functions; an instance serves both of the platform's ports."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def forward(
        self, request: web.BaseRequest, function: Function, *, target: str, headers: CIMultiDict[str]
    ) -> web.StreamResponse:
        """Send a request to `target` (path and query) of a function and its answer back.

        Raises
        ------
        FunctionUnavailable, FunctionCrashed, FunctionTimeout
            No answer could be passed on; nothing has been sent to the caller then.
        """
        if _wants_websocket(request):
            return await self._websocket(request, function, target=target, headers=headers)
        small = request.content_length is not None and request.content_length <= SMALL_BODY_BYTES
        body = await request.read() if small else None
        for _ in range(_CONNECT_ATTEMPTS):
            try:
                async with function.instance() as address:
                    url = URL(address + target, encoded=True)
                    return await self._exchange(request, function, url=url, headers=headers, body=body)
            except aiohttp.ClientConnectorError:
                # Nothing was sent: the process has just ended. The next attempt starts a new one.
                await function.refused_connection()
        raise FunctionUnavailable(f"{function.name} accepts no connections")

    async def _exchange(
        self,
        request: web.BaseRequest,
        function: Function,
        *,
        url: URL,
        headers: CIMultiDict[str],
        body: bytes | None,
    ) -> web.StreamResponse:
        answer: web.StreamResponse | None = None
        data = (body or None) if body is not None else (request.content if request.body_exists else None)
        try:
            async with (
                asyncio.timeout(function.manifest.timeout_seconds),
                self._session.request(
                    request.method, url, headers=headers, data=data, allow_redirects=False
                ) as upstream,
            ):
                if upstream.content_length is not None and upstream.content_length <= SMALL_BODY_BYTES:
                    return await _whole_answer(request, upstream)
                answer = web.StreamResponse(
                    status=upstream.status, reason=upstream.reason, headers=_answer_headers(upstream)
                )
                await _stream_answer(request, answer, upstream)
                return answer
        except TimeoutError as error:
            _break_off(request, answer)
            limit = function.manifest.timeout_seconds
            raise FunctionTimeout(f"{function.name} did not answer within {limit:g} s") from error
        except aiohttp.ClientConnectorError:
            raise
        except aiohttp.ClientError as error:
            _break_off(request, answer)
            raise FunctionCrashed(f"{function.name} broke the connection before it answered") from error

    async def _websocket(
        self, request: web.BaseRequest, function: Function, *, target: str, headers: CIMultiDict[str]
    ) -> web.StreamResponse:
        protocols = [part.strip() for part in headers.pop("Sec-WebSocket-Protocol", "").split(",") if part]
        own = [name for name in headers if name.lower().startswith("sec-websocket-")]
        for name in own:
            headers.popall(name, None)
        async with function.instance() as address:
            try:
                upstream = await self._session.ws_connect(
                    URL(address + target, encoded=True),
                    headers=headers,
                    protocols=protocols,
                    max_msg_size=_MESSAGE_LIMIT_BYTES,
                )
            except aiohttp.WSServerHandshakeError as refusal:
                return web.Response(status=refusal.status, reason=refusal.message)
            except aiohttp.ClientError as error:
                raise FunctionCrashed(f"{function.name} broke the connection before it answered") from error
            async with upstream:
                caller = web.WebSocketResponse(
                    protocols=[upstream.protocol] if upstream.protocol else [],
                    max_msg_size=_MESSAGE_LIMIT_BYTES,
                )
                await caller.prepare(request)
                await _pump_both(caller, upstream)
                return caller


async def _whole_answer(request: web.BaseRequest, upstream: aiohttp.ClientResponse) -> web.Response:
    headers = _answer_headers(upstream)
    if request.method != "HEAD":
        # Counted anew from the body; the answer to HEAD keeps the length of the body it lacks.
        headers.popall("Content-Length", None)
    return web.Response(
        status=upstream.status,
        reason=upstream.reason,
        headers=headers,
        body=await upstream.read() or None,
    )


async def _stream_answer(
    request: web.BaseRequest, answer: web.StreamResponse, upstream: aiohttp.ClientResponse
) -> None:
    await answer.prepare(request)
    async for part in upstream.content.iter_any():
        await answer.write(part)
    await answer.write_eof()


def _answer_headers(upstream: aiohttp.ClientResponse) -> CIMultiDict[str]:
    return end_to_end(upstream.headers, drop=("server",))


async def _pump_both(caller: web.WebSocketResponse, upstream: aiohttp.ClientWebSocketResponse) -> None:
    """Pass messages both ways until one side closes, then close the other with the same code."""
    pumps = {asyncio.create_task(_pump(caller, upstream)), asyncio.create_task(_pump(upstream, caller))}
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
    code = upstream.close_code or caller.close_code or aiohttp.WSCloseCode.OK
    if code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE:
        # 1006 says that no close frame came; it must not be sent in one.
        code = aiohttp.WSCloseCode.GOING_AWAY
    await caller.close(code=code)
    await upstream.close(code=code)


_Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _pump(source: _Socket, sink: _Socket) -> None:
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT:
            await sink.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await sink.send_bytes(message.data)


def _wants_websocket(request: web.BaseRequest) -> bool:
    return request.method == "GET" and request.headers.get("Upgrade", "").lower() == "websocket"


def _break_off(request: web.BaseRequest, answer: web.StreamResponse | None) -> None:
    """Cut the connection when the answer has begun: a cut is the only way left to say it is not whole."""
    if answer is not None and answer.prepared and request.transport is not None:
        request.transport.abort()
        raise ConnectionResetError("the function's answer ended early")
