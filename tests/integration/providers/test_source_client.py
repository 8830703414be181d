"""HTTP to a source: every way in which it can fail, and what is said then."""

import asyncio
import gzip
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from alphapulse.providers.budget import Pace, SourceBudget
from alphapulse.providers.errors import (
    AnswerMalformed,
    ProviderError,
    SourceBusy,
    SourceDown,
    SourceRefuses,
)
from alphapulse.providers.transport import SourceClient
from alphapulse.tenancy.cache import CacheConnection
from alphapulse_local.embedded.process import free_port
from tests.integration.providers.conftest import Clock
from tests.source_server import Reply, SourceServer

KEY = "key-1234-do-not-tell"
FAST = Pace(per_minute=60_000, burst=1_000)


def client_of(url: str, clock: Clock, **changes: Any) -> SourceClient:
    budget = SourceBudget(CacheConnection(None), "example", pace=FAST)
    return SourceClient("example", url, budget=budget, clock=clock, headers={"x-key": KEY}, **changes)


@pytest.fixture
async def client(server: SourceServer, clock: Clock) -> AsyncIterator[SourceClient]:
    opened = client_of(server.url, clock, deadline_seconds=0.5, max_body_bytes=100_000)
    yield opened
    await opened.close()


async def test_a_good_answer_is_its_json_and_the_question_carries_key_and_parameters(
    client: SourceClient, server: SourceServer
) -> None:
    server.answer = lambda _: {"data": [1.5, None, "x"]}

    answer = await client.get("/v4/things", {"assets": "btc", "metrics": "A,B"})

    assert answer == {"data": [1.5, None, "x"]}
    (question,) = server.questions
    assert (question.method, question.path) == ("GET", "/v4/things")
    assert question.parameters == {"assets": "btc", "metrics": "A,B"}
    assert question.headers["x-key"] == KEY


async def test_a_posted_document_arrives_as_json(client: SourceClient, server: SourceServer) -> None:
    server.answer = lambda _: {"data": {}}

    assert await client.post("/graphql", {"query": "{ a }"}) == {"data": {}}

    (question,) = server.questions
    assert (question.method, question.document) == ("POST", {"query": "{ a }"})
    assert question.headers["content-type"] == "application/json"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_failing_source_is_down(client: SourceClient, server: SourceServer, status: int) -> None:
    server.answer = lambda _: Reply(b"<html>oops</html>", status=status)

    with pytest.raises(SourceDown, match=f"^example answered {status}$"):
        await client.get("/")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 451])
async def test_a_refusal_tells_its_status(client: SourceClient, server: SourceServer, status: int) -> None:
    server.answer = lambda _: Reply({"error": {"message": f"your key {KEY} is bad"}}, status=status)

    with pytest.raises(SourceRefuses, match=f"^example refuses with {status}$") as caught:
        await client.get("/")

    assert caught.value.status == status


async def test_a_source_that_never_answers_is_down_after_the_deadline(
    client: SourceClient, server: SourceServer
) -> None:
    server.answer = lambda _: Reply(hang=True)
    began = time.monotonic()

    with pytest.raises(SourceDown, match="does not answer"):
        await client.get("/")

    assert time.monotonic() - began < 3


async def test_an_answer_that_trickles_is_cut_off_at_the_deadline(
    client: SourceClient, server: SourceServer
) -> None:
    server.answer = lambda _: Reply([1] * 200, pause_seconds=0.05)
    began = time.monotonic()

    with pytest.raises(SourceDown, match="does not answer"):
        await client.get("/")

    assert time.monotonic() - began < 3


async def test_an_answer_that_breaks_off_is_down(client: SourceClient, server: SourceServer) -> None:
    server.answer = lambda _: Reply({"data": []}, length=5_000)

    with pytest.raises(SourceDown, match="does not answer"):
        await client.get("/")


async def test_nobody_at_the_address_is_down(clock: Clock) -> None:
    client = client_of(f"http://127.0.0.1:{free_port()}", clock)

    with pytest.raises(SourceDown, match="ConnectError"):
        await client.get("/")

    await client.close()


async def test_a_huge_answer_is_not_taken_in(client: SourceClient, server: SourceServer) -> None:
    server.answer = lambda _: Reply(b"[" + b"1," * 200_000 + b"1]")

    with pytest.raises(AnswerMalformed, match="more than 97 KiB"):
        await client.get("/")


async def test_a_small_answer_that_unpacks_to_a_huge_one_is_not_taken_in(
    client: SourceClient, server: SourceServer
) -> None:
    server.answer = lambda _: Reply(gzip.compress(b" " * 10_000_000), headers={"content-encoding": "gzip"})

    with pytest.raises(AnswerMalformed, match="more than 97 KiB"):
        await client.get("/")


async def test_an_answer_packed_more_than_once_is_not_unpacked(
    client: SourceClient, server: SourceServer
) -> None:
    # Each time over, a kilobyte may stand for a thousand times as much, all at once.
    packed = gzip.compress(gzip.compress(b"{}"))
    server.answer = lambda _: Reply(packed, headers={"content-encoding": "gzip, gzip"})

    with pytest.raises(AnswerMalformed, match="packed"):
        await client.get("/")


@pytest.mark.parametrize("body", [b"", b"<html></html>", b'{"a": ', b"NaN", b"\xff\xfe"])
async def test_an_answer_that_is_no_json_is_malformed(
    client: SourceClient, server: SourceServer, body: bytes
) -> None:
    server.answer = lambda _: Reply(body)

    with pytest.raises(AnswerMalformed, match="no JSON"):
        await client.get("/")


async def test_a_redirect_within_the_host_is_followed(client: SourceClient, server: SourceServer) -> None:
    server.answer = lambda question: (
        {"there": True} if question.path == "/new" else Reply(status=301, headers={"location": "/new"})
    )

    assert await client.get("/old") == {"there": True}


async def test_a_redirect_to_another_host_is_refused_and_nothing_is_sent_there(
    client: SourceClient, server: SourceServer
) -> None:
    elsewhere = SourceServer()
    await elsewhere.start()
    elsewhere.answer = lambda _: {}
    server.answer = lambda _: Reply(status=302, headers={"location": f"{elsewhere.url}/steal"})

    with pytest.raises(AnswerMalformed, match="another host"):
        await client.get("/")

    assert elsewhere.questions == []
    await elsewhere.stop()


async def test_a_redirect_in_circles_ends(client: SourceClient, server: SourceServer) -> None:
    server.answer = lambda _: Reply(status=302, headers={"location": "/again"})

    with pytest.raises(AnswerMalformed, match="circles"):
        await client.get("/")

    assert len(server.questions) == 4


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ({"retry-after": "17"}, 17),
        ({"retry-after": "Mon, 15 Jun 2026 12:30:09 GMT"}, 9),
        ({"retry-after": "999999"}, 3600),
        ({"retry-after": "0"}, 1),
        ({"retry-after": "soon"}, 30),
        ({"retry-after": "9" * 5000}, 30),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 -1200"}, 30),
        ({"retry-after": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, 30),
        ({}, 30),
    ],
)
async def test_too_many_requests_pause_the_source_for_as_long_as_it_asks(
    client: SourceClient, server: SourceServer, header: dict[str, str], seconds: int
) -> None:
    server.answer = lambda _: Reply({}, status=429, headers=header)

    with pytest.raises(SourceBusy, match=f"for {seconds} s") as caught:
        await client.get("/")
    assert caught.value.retry_after_seconds == seconds

    with pytest.raises(SourceBusy):
        await client.get("/")
    assert len(server.questions) == 1


async def test_an_outage_with_a_time_to_come_back_pauses_the_source_too(
    client: SourceClient, server: SourceServer
) -> None:
    server.answer = lambda _: Reply({}, status=503, headers={"retry-after": "60"})

    with pytest.raises(SourceDown):
        await client.get("/")
    with pytest.raises(SourceBusy):
        await client.get("/")

    assert len(server.questions) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"error": KEY}, status=401),
        Reply({"error": KEY}, status=500),
        Reply(f"<html>{KEY}</html>".encode()),
        Reply(status=302, headers={"location": f"http://127.0.0.2/?apiKey={KEY}"}),
        Reply({}, length=5_000),
        Reply({}, status=429),
    ],
    ids=["refusal", "failure", "no-json", "redirect", "broken", "busy"],
)
async def test_no_error_or_log_tells_an_address_a_key_or_an_answer(
    client: SourceClient, server: SourceServer, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    server.answer = lambda _: reply
    # Below it httpx names addresses; the platform's logs begin at it.
    caplog.set_level(logging.WARNING)

    with pytest.raises(ProviderError) as caught:
        await client.get("/path", {"apiKey": KEY})

    said = f"{caught.value} {caught.value!r} {caplog.text}"
    for secret in (KEY, "127.0.0", server.url, "/path", "http"):
        assert secret not in said


async def test_a_cancelled_question_leaves_a_client_that_works(
    client: SourceClient, server: SourceServer
) -> None:
    server.answer = lambda question: Reply(hang=True) if question.path == "/slow" else {"ok": True}
    slow = asyncio.create_task(client.get("/slow"))
    while not server.questions:
        await asyncio.sleep(0.001)
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow

    assert await client.get("/fast") == {"ok": True}
