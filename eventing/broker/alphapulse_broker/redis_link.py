"""Exchanges with Redis: single commands, and scripts that share round trips.

redis-py supplies connections, authentication and parsing. Commands go out through them directly,
since its per-command layers (retries that repeat writes, statistics, response callbacks) cost more
than the command and a repeated write would be a repeated event.
"""

import asyncio
import hashlib
import math
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from hiredis import pack_command
from redis.asyncio import Connection
from redis.exceptions import (
    ClusterDownError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from alphapulse_broker.errors import GroupMissing, LogUnavailable
from alphapulse_broker.redis_pool import Pool

Argument = str | bytes | int

_BATCH = 128


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and the digest Redis knows it by."""

    name: str
    source: bytes
    digest: str


@cache
def script(name: str) -> Script:
    """Return the script in `lua/<name>.lua`."""
    source = resources.files("alphapulse_broker").joinpath("lua", f"{name}.lua").read_bytes()
    # Redis names scripts by SHA-1; it protects nothing here.
    return Script(name, source, hashlib.sha1(source, usedforsecurity=False).hexdigest())


async def call(pool: Pool, *arguments: Argument, timeout_seconds: float) -> Any:
    """Send one command and return its answer as bytes, integers and lists.

    Raises
    ------
    LogUnavailable
        No answer within the time, or an error answer.
    """
    (answer,) = await _exchange(pool, [arguments], timeout_seconds)
    if isinstance(answer, ResponseError):
        raise _refusal(answer) from answer
    return answer


@dataclass(slots=True)
class _Call:
    script: Script
    keys: Sequence[Argument]
    arguments: Sequence[Argument]
    done: "asyncio.Future[Any]"

    def command(self) -> list[Argument]:
        return ["EVALSHA", self.script.digest, len(self.keys), *self.keys, *self.arguments]


class ScriptRunner:
    """Runs scripts; those that wait at the same time share one round trip.

    Each script stays atomic by itself. With no other call waiting a script is sent at once; while
    `lanes` round trips are under way, new calls gather and leave together.
    """

    def __init__(self, pool: Pool, *, lanes: int, timeout_seconds: float) -> None:
        self._pool = pool
        self._lanes = lanes
        self._timeout_seconds = timeout_seconds
        self._waiting: deque[_Call] = deque()
        self._sending = 0
        self._senders: set[asyncio.Task[None]] = set()

    async def run(self, name: str, keys: Sequence[Argument], arguments: Sequence[Argument]) -> Any:
        """Run `lua/<name>.lua` once.

        A lost connection leaves the outcome open; the caller decides whether the script may be
        repeated.

        Raises
        ------
        LogUnavailable
            Redis did not answer or refused.
        """
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(script(name), keys, arguments, done))
        if self._sending < self._lanes:
            self._sending += 1
            sender = asyncio.create_task(self._send_waiting())
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)
        return await done

    async def _send_waiting(self) -> None:
        try:
            while self._waiting:
                await self._send_batch()
        finally:
            # Counted down here and not when the task is collected: between the two, a new call
            # would count on a sender that looks no more.
            self._sending -= 1

    async def _send_batch(self) -> None:
        calls = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
        try:
            answers = await self._answers(calls)
        except LogUnavailable as error:
            answers = [error] * len(calls)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            # A mistake of ours, such as an argument of a kind that cannot be sent.
            for waiting in calls:
                if not waiting.done.done():
                    waiting.done.set_exception(RuntimeError(f"a script could not be sent: {error!r:.200}"))
            return
        for waiting, answer in zip(calls, answers, strict=True):
            if not waiting.done.done():
                _resolve(waiting.done, answer)

    async def _answers(self, calls: list[_Call]) -> list[Any]:
        answers = await _exchange(self._pool, [entry.command() for entry in calls], self._timeout_seconds)
        unknown = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            # Redis was restarted: nothing of these ran, so they may be sent again.
            sources = {calls[i].script.name: calls[i].script.source for i in unknown}
            loads: list[Sequence[Argument]] = [("SCRIPT", "LOAD", source) for source in sources.values()]
            again: list[Sequence[Argument]] = [calls[i].command() for i in unknown]
            repeated = await _exchange(self._pool, loads + again, self._timeout_seconds)
            for i, answer in zip(unknown, repeated[len(loads) :], strict=True):
                answers[i] = answer
        return answers


def _resolve(done: "asyncio.Future[Any]", answer: Any) -> None:
    if isinstance(answer, ResponseError):
        refusal = _refusal(answer)
        refusal.__cause__ = answer
        done.set_exception(refusal)
    elif isinstance(answer, LogUnavailable):
        # One instance per waiter: a shared one would collect every waiter's traceback.
        own = LogUnavailable(str(answer))
        own.__cause__ = answer.__cause__
        done.set_exception(own)
    else:
        done.set_result(answer)


async def _exchange(pool: Pool, commands: Sequence[Sequence[Argument]], timeout_seconds: float) -> list[Any]:
    """Send commands in one write and return their answers, error answers included."""
    answers = await _round_trip(pool, commands, timeout_seconds)
    moved = [i for i, answer in enumerate(answers) if isinstance(answer, MovedError)]
    if moved:
        # The slot has another master now. Nothing of these ran, so they may be sent again.
        repeated = await _round_trip(pool, [commands[i] for i in moved], timeout_seconds)
        for i, answer in zip(moved, repeated, strict=True):
            answers[i] = answer
    return answers


async def _round_trip(
    pool: Pool, commands: Sequence[Sequence[Argument]], timeout_seconds: float
) -> list[Any]:
    connection: Connection | None = None
    broken = True
    try:
        async with asyncio.timeout(timeout_seconds):
            connection = await pool.acquire()
            await connection.send_packed_command(_packed(commands), check_health=False)
            answers = [await _read(connection) for _ in commands]
        broken = False
        if any(_is_elsewhere(answer) for answer in answers):
            pool.distrust()
    except (RedisError, OSError, TimeoutError) as error:
        pool.distrust()
        raise LogUnavailable(f"redis did not answer: {_why(error)}") from error
    else:
        return answers
    finally:
        if connection is not None:
            await pool.release(connection, broken=broken)


def _packed(commands: Sequence[Sequence[Argument]]) -> bytes:
    # Any, since hiredis' stub knows only commands of one word.
    whole: list[Any] = [tuple(command) for command in commands]
    return b"".join(map(pack_command, whole))


async def _read(connection: Connection) -> Any:
    try:
        return await connection.read_response(disable_decoding=True, timeout=math.inf)
    except ResponseError as error:
        return error


def _refusal(error: ResponseError) -> LogUnavailable:
    message = str(error)
    if "NOGROUP" in message:
        return GroupMissing("the stream or its consumer group does not exist")
    return LogUnavailable(f"redis refused: {message[:200]}")


def _is_elsewhere(answer: object) -> bool:
    """Tell whether an answer means that the keys have moved, or that this master is none any more."""
    if isinstance(answer, (MovedError, ReadOnlyError, ClusterDownError)):
        return True
    # Inside a script the server's code is in the middle of the message.
    return isinstance(answer, ResponseError) and "READONLY" in str(answer)


def _why(error: BaseException) -> str:
    """Return the error's name, and what TLS found wrong: redis-py calls that a lost connection."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {getattr(cause, 'verify_message', '') or cause.reason or type(cause).__name__}"
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
