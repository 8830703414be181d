"""A platform whose database the tests can look into: states and rows that no route makes."""

import asyncio
import contextlib
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from alphapulse_local.embedded.postgres import EmbeddedPostgres
from alphapulse_local.testing import RunningPlatform
from tests.e2e.conftest import NO_ADDRESS_LIMIT, START_SECONDS, User, eventually
from tests.openapi import public_document

Execute = Callable[..., str]

# Routes without a token. Any other must refuse a caller without one.
PUBLIC = {
    "/auth/signup",
    "/auth/login",
    "/auth/refresh",
    "/auth/logout",
    "/auth/email/verify",
    "/auth/password/forgot",
    "/auth/password/reset",
    "/.well-known/jwks.json",
}


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(
        tmp_path_factory.mktemp("postgres"), password=secrets.token_hex(16), durable=False
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def platform(
    tmp_path_factory: pytest.TempPathFactory, market_files: Path, postgres: EmbeddedPostgres
) -> Iterator[RunningPlatform]:
    """A platform on a database of the tests' own."""
    running = RunningPlatform(
        tmp_path_factory.mktemp("platform"),
        market_data_dir=market_files,
        environment={**NO_ADDRESS_LIMIT, "DATABASE_URL": postgres.url()},
    )
    running.start(timeout_seconds=START_SECONDS)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def execute(platform: RunningPlatform, postgres: EmbeddedPostgres) -> Execute:
    """Run a statement as an administrator."""

    async def run(statement: str, *arguments: Any) -> str:
        connection = await asyncpg.connect(
            postgres.url(database="alphapulse"), server_settings={"search_path": "alphapulse"}
        )
        try:
            status: str = await connection.execute(statement, *arguments)
            return status
        finally:
            await connection.close()

    return lambda statement, *arguments: asyncio.run(run(statement, *arguments))


@pytest.fixture(scope="session")
def document(tmp_path_factory: pytest.TempPathFactory, signing_key: bytes) -> dict[str, Any]:
    return public_document(tmp_path_factory.mktemp("key"), signing_key)


def routes(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return method, path and operation of every route."""
    return [
        (method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


@contextlib.contextmanager
def invited(platform: RunningPlatform, owner: User, *, role: str) -> Iterator[httpx.Client]:
    """Log in as a further user of the owner's tenant."""
    email, password = f"{secrets.token_hex(8)}@example.com", secrets.token_urlsafe(16)
    owner.post("/tenants/me/users", {"email": email, "role": role})
    mails = eventually(
        lambda: httpx.get(f"{platform.url}/mailbox.json?to={email}", trust_env=False).json()["items"], bool
    )
    token = re.search(r"#token=(\S+)", mails[0]["text"])
    assert token is not None
    with httpx.Client(base_url=platform.url, timeout=60, trust_env=False) as client:
        body = {"token": token[1], "password": password}
        assert client.post("/auth/password/reset", json=body).status_code == 204
        tokens = client.post("/auth/login", json={"email": email, "password": password}).json()
        client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        yield client
