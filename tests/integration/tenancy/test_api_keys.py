"""Looking API keys up: one question for many requests, none believed for long, failures not at all."""

import asyncio
import datetime as dt
from typing import Any

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.data.errors import DatabaseUnavailable
from alphapulse.tenancy import api_keys
from alphapulse.tenancy.api_keys import ApiKeys, InvalidApiKey, NewApiKey, new_api_key
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.principal import Role
from alphapulse.tenancy.tenant import TenantId
from tests.logins import login_of


class Moment:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = dt.datetime.now(dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now


class Counted(Database):
    """Counts the transactions it gives; `up = False` makes it fail."""

    asked = 0
    up = True

    def tenant(self, tenant_id: TenantId) -> Any:
        type(self).asked += 1
        if not self.up:
            raise DatabaseUnavailable("down")
        return super().tenant(tenant_id)


@pytest.fixture
def moment() -> Moment:
    return Moment()


@pytest.fixture
async def key(tenant: TenantId, database: DatabaseUrls) -> NewApiKey:
    made = new_api_key(tenant)
    connection = await asyncpg.connect(database.platform)
    try:
        await connection.execute(
            "INSERT INTO api_keys (tenant_id, id, user_id, name, prefix, key_hash, role, scopes)"
            " VALUES ($1, $2, $3, 'a key', $4, $5, 'trader', '{read}')",
            tenant.value, uuid7(), login_of(tenant).user_id, made.prefix, made.digest,
        )  # fmt: skip
    finally:
        await connection.close()
    return made


@pytest.fixture
async def counted(database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(Counted, "asked", 0)
    opened = Counted(database.app, application_name="test")
    yield opened
    await opened.close()


async def test_a_key_stands_for_its_user_with_its_own_role_and_scopes(
    app_database: Database, key: NewApiKey, tenant: TenantId, moment: Moment
) -> None:
    principal = await ApiKeys(app_database, clock=moment).principal(key.text)

    assert (principal.tenant_id, principal.user_id) == (tenant, login_of(tenant).user_id)
    assert (principal.role, principal.scopes) == (Role.TRADER, frozenset({"read"}))
    assert principal.api_key_id == principal.session_id


async def test_requests_at_once_ask_the_database_once(
    counted: Counted, key: NewApiKey, moment: Moment
) -> None:
    keys = ApiKeys(counted, clock=moment)

    principals = await asyncio.gather(*(keys.principal(key.text) for _ in range(50)))
    moment.now += dt.timedelta(seconds=0.9)
    await keys.principal(key.text)
    within = Counted.asked
    moment.now += dt.timedelta(seconds=0.1)
    await keys.principal(key.text)

    assert len(set(principals)) == 1
    assert (within, Counted.asked) == (1, 2)


async def test_a_key_that_is_not_there_is_asked_for_once_a_second_too(
    counted: Counted, tenant: TenantId, moment: Moment
) -> None:
    keys, invented = ApiKeys(counted, clock=moment), new_api_key(tenant)

    for _ in range(5):
        with pytest.raises(InvalidApiKey):
            await keys.principal(invented.text)

    assert Counted.asked == 1


async def test_a_failed_lookup_is_not_believed(
    counted: Counted, key: NewApiKey, moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ApiKeys(counted, clock=moment)
    monkeypatch.setattr(Counted, "up", False)
    failed = await asyncio.gather(*(keys.principal(key.text) for _ in range(3)), return_exceptions=True)
    monkeypatch.setattr(Counted, "up", True)

    assert {DatabaseUnavailable} == {type(error) for error in failed}
    assert (await keys.principal(key.text)).role is Role.TRADER


async def test_a_request_that_is_given_up_does_not_take_the_lookup_of_the_others_with_it(
    app_database: Database, key: NewApiKey, moment: Moment
) -> None:
    keys = ApiKeys(app_database, clock=moment)
    first, second = (asyncio.create_task(keys.principal(key.text)) for _ in range(2))
    await asyncio.sleep(0)

    first.cancel()

    assert (await second).role is Role.TRADER


async def test_a_flood_of_invented_keys_is_not_remembered_without_end(
    counted: Counted, tenant: TenantId, moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "_CACHED_KEYS", 10)
    keys = ApiKeys(counted, clock=moment)
    for _ in range(35):
        with pytest.raises(InvalidApiKey):
            await keys.principal(new_api_key(tenant).text)

    assert len(keys._lookups) <= 10


def test_a_key_is_not_printed(tenant: TenantId) -> None:
    made = new_api_key(tenant)

    assert made.text not in repr(made)
    assert made.text.removeprefix(made.prefix) not in repr(made)
