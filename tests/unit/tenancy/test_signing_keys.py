"""Rotation of the signing keys: when a key is published, when it signs, when it goes."""

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import jwt
import pytest

from alphapulse.tenancy.principal import Principal, Role, Tier
from alphapulse.tenancy.signing_key_sources import FileKeys
from alphapulse.tenancy.signing_keys import (
    ACCESS_TOKEN_LIFETIME,
    PUBLISHED_AHEAD,
    KeyRing,
    KeySchedule,
    MalformedKeys,
    RotationUnderWay,
    new_pem,
)
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tokens import InvalidToken, KeysUnavailable, TokenVerifier

START = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
PRINCIPAL = Principal(
    tenant_id=TenantId.new(),
    user_id=TenantId.new().value,
    role=Role.OWNER,
    tier=Tier.PRO,
    session_id=TenantId.new().value,
)


class Store(FileKeys):
    """Key files; `up = False` makes them fail."""

    up = True

    def load(self) -> KeySchedule:
        if not self.up:
            raise KeysUnavailable("down")
        return super().load()


class World:
    """One store, the ring of an accounts process, and a function that verifies."""

    def __init__(self, key_file: Path) -> None:
        key_file.write_text(new_pem())
        self.now = START
        self.store = Store(key_file)
        self.ring = KeyRing(self.store, clock=self.clock)
        self.verifier = TokenVerifier(self.ring.jwks, clock=self.clock)

    def clock(self) -> dt.datetime:
        return self.now

    async def token(self) -> str:
        return (await self.ring.signer()).sign(PRINCIPAL, now=self.now, lifetime=ACCESS_TOKEN_LIFETIME)

    async def published(self) -> int:
        return len((await self.ring.jwks())["keys"])


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "key.pem")


def kid(token: str) -> str:
    value: str = jwt.get_unverified_header(token)["kid"]
    return value


async def test_a_rotation_locks_nobody_out_at_any_moment(world: World) -> None:
    first = await world.token()
    await world.verifier.verify(first)
    await world.store.rotate(world.now)
    issued: list[tuple[dt.datetime, str]] = []
    kids: set[str] = set()

    # Every ten seconds for an hour a token is issued, and all that have not expired are accepted.
    for second in range(0, 3600, 10):
        world.now = START + dt.timedelta(seconds=second)
        issued.append((world.now + ACCESS_TOKEN_LIFETIME, await world.token()))
        kids.add(kid(issued[-1][1]))
        for expires, token in issued[::30]:
            if expires > world.now:
                assert await world.verifier.verify(token) == PRINCIPAL

    assert len(kids) == 2
    assert await world.published() == 1


async def test_a_new_key_is_published_before_it_signs_and_the_old_one_until_its_tokens_have_expired(
    world: World,
) -> None:
    old = kid(await world.token())
    await world.store.rotate(world.now)
    seen = []

    for minutes in (1, 9, 11, 20, 27):
        world.now = START + dt.timedelta(minutes=minutes)
        seen.append((await world.published(), kid(await world.token()) == old))

    assert seen == [(2, True), (2, True), (2, False), (2, False), (1, False)]


async def test_a_function_that_has_the_keys_knows_the_new_one_before_it_signs(world: World) -> None:
    fetches = 0

    async def fetch() -> dict[str, Any]:
        nonlocal fetches
        fetches += 1
        return await world.ring.jwks()

    verifier = TokenVerifier(fetch, clock=world.clock)
    await verifier.verify(await world.token())
    await world.store.rotate(world.now)
    for minutes in range(1, 10):
        world.now = START + dt.timedelta(minutes=minutes)
        await verifier.verify(await world.token())
        await asyncio.sleep(0)  # the keys are fetched beside the requests
    before = fetches
    world.now = START + PUBLISHED_AHEAD
    await verifier.verify(await world.token())

    assert (before, len(verifier._keys)) == (2, 2)


async def test_a_second_rotation_waits_for_the_first(world: World) -> None:
    await world.store.rotate(world.now)

    with pytest.raises(RotationUnderWay):
        await world.store.rotate(world.now + dt.timedelta(minutes=20))

    await world.store.rotate(world.now + dt.timedelta(minutes=27))


async def test_of_two_rotations_at_once_one_is_stored(world: World) -> None:
    rotations = (world.store.rotate(world.now) for _ in range(2))

    done = await asyncio.gather(*rotations, return_exceptions=True)

    assert {KeySchedule, RotationUnderWay} == {type(each) for each in done}
    assert len((await world.store.read()).keys) == 2


async def test_the_keys_are_readable_by_their_owner_only(world: World, tmp_path: Path) -> None:
    await world.store.rotate(world.now)

    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600


async def test_a_key_that_leaked_is_withdrawn_at_once_also_where_its_tokens_were_seen(world: World) -> None:
    stolen = await world.token()
    await world.verifier.verify(stolen)
    await world.store.rotate(world.now, at_once=True)
    world.now = START + dt.timedelta(minutes=1)

    fresh = await world.token()
    await world.verifier.verify(fresh)

    with pytest.raises(InvalidToken):
        await world.verifier.verify(stolen)


async def test_while_the_source_is_down_the_keys_at_hand_go_on_signing(world: World) -> None:
    await world.token()
    world.store.up = False
    world.now = START + dt.timedelta(hours=3)

    assert await world.verifier.verify(await world.token()) == PRINCIPAL


async def test_without_keys_nothing_is_signed(tmp_path: Path) -> None:
    with pytest.raises(KeysUnavailable):
        await KeyRing(FileKeys(tmp_path / "key.pem"), clock=lambda: START).signer()


def test_the_pem_of_one_key_is_a_document() -> None:
    pem = new_pem()

    assert KeySchedule.parse(pem).current(START).pem == pem


@pytest.mark.parametrize(
    "document",
    ["", "{}", "[]", '{"keys": []}', '{"keys": [{"pem": 1, "signs_from": "2026-01-01T00:00:00+00:00"}]}',
     '{"keys": [{"pem": "x", "signs_from": "2026-01-01T00:00:00"}]}', '{"keys": [{"pem": "x"}]}'],
)  # fmt: skip
def test_a_malformed_document_is_refused(document: str) -> None:
    with pytest.raises(MalformedKeys):
        KeySchedule.parse(document)


def test_a_key_is_not_printed() -> None:
    keys = KeySchedule.fresh()

    assert "PRIVATE" not in repr(keys)
    assert "PRIVATE" in keys.document()
