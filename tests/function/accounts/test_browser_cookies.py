"""A browser's login: cookies scripts cannot read, and a token other sites cannot know."""

from collections.abc import Callable
from http.cookies import Morsel, SimpleCookie
from typing import Any

import httpx
import pytest

from alphapulse.tenancy.tenant import TenantId
from tests.function.accounts.conftest import PASSWORD, People, Person
from tests.function.conftest import Functions

Cookies = dict[str, "Morsel[str]"]


def cookies_of(answer: httpx.Response) -> Cookies:
    parsed: Cookies = {}
    for header in answer.headers.get_list("set-cookie"):
        parsed |= dict(SimpleCookie(header).items())
    return parsed


class Browser:
    """Sends its cookies with every request, as browsers do, and the CSRF token when it is told to."""

    def __init__(self, api: httpx.AsyncClient) -> None:
        self.api = api
        self.jar: dict[str, str] = {}
        self.csrf_token = ""

    async def log_in(self, person: Person, **where: Any) -> httpx.Response:
        body = {"email": person.email, "password": PASSWORD}
        answer = await self.api.post("/auth/login", json=body, **({"params": {"cookie": "true"}} | where))
        assert answer.status_code == 200, answer.text
        self.take(answer)
        self.csrf_token = answer.json()["csrf_token"]
        return answer

    def take(self, answer: httpx.Response) -> None:
        self.jar |= {name: morsel.value for name, morsel in cookies_of(answer).items()}
        self.jar = {name: value for name, value in self.jar.items() if value}
        self.api.cookies.clear()

    async def send(
        self, method: str, path: str, *, csrf: str | None = None, **options: Any
    ) -> httpx.Response:
        cookie = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        headers = {"Cookie": cookie.encode("latin-1")}
        if csrf is not None:
            headers["X-CSRF-Token"] = csrf.encode()
        answer = await self.api.request(method, path, headers=headers | options.pop("headers", {}), **options)
        self.api.cookies.clear()
        return answer


@pytest.fixture
def browser(api: httpx.AsyncClient) -> Browser:
    return Browser(api)


@pytest.fixture
async def person(people: People, tenant: TenantId) -> Person:
    return await people(tenant)


async def test_a_login_puts_its_tokens_into_cookies_and_not_into_the_answer(
    browser: Browser, person: Person
) -> None:
    answer = await browser.log_in(person)

    found = cookies_of(answer)
    assert {"token_type", "expires_in", "csrf_token"} == set(answer.json())
    assert {
        name: (m["path"], bool(m["httponly"]), bool(m["secure"]), m["samesite"], m["max-age"])
        for name, m in found.items()
    } == {
        "alphapulse_access": ("/", True, True, "strict", "900"),
        "alphapulse_refresh": ("/auth", True, True, "strict", "2592000"),
        "alphapulse_csrf": ("/", False, True, "strict", "2592000"),
    }
    assert found["alphapulse_csrf"].value == answer.json()["csrf_token"]
    assert answer.headers["cache-control"] == "no-store"
    assert not any(found[name]["domain"] for name in found)


@pytest.mark.parametrize(
    ("headers", "secure"),
    [
        ({"X-Forwarded-Proto": "http", "X-Forwarded-Host": "localhost:8080"}, False),
        ({"X-Forwarded-Proto": "http", "X-Forwarded-Host": "127.0.0.1:8080"}, False),
        ({"X-Forwarded-Proto": "http", "X-Forwarded-Host": "[::1]:8080"}, False),
        ({"X-Forwarded-Proto": "https", "X-Forwarded-Host": "localhost"}, True),
        ({"X-Forwarded-Proto": "http", "X-Forwarded-Host": "alphapulse.example"}, True),
        ({"X-Forwarded-Proto": "http", "X-Forwarded-Host": "localhost.evil.example"}, True),
        ({"X-Forwarded-Proto": "http", "X-Forwarded-Host": "["}, True),
        ({}, True),
    ],
)
async def test_cookies_need_tls_but_on_this_machine(
    browser: Browser, person: Person, headers: dict[str, str], secure: bool
) -> None:
    answer = await browser.log_in(person, headers=headers)

    assert {secure} == {bool(morsel["secure"]) for morsel in cookies_of(answer).values()}


async def test_a_field_of_the_body_asks_for_cookies_too(browser: Browser, person: Person) -> None:
    body = {"email": person.email, "password": PASSWORD, "cookie": True}

    answer = await browser.api.post("/auth/login", json=body)

    assert "alphapulse_access" in cookies_of(answer)


async def test_a_cookie_reads_without_and_changes_only_with_the_csrf_token(
    browser: Browser, person: Person
) -> None:
    await browser.log_in(person)

    read = await browser.send("GET", "/tenants/me")
    missing = await browser.send("POST", "/auth/logout-all")
    wrong = await browser.send("POST", "/auth/logout-all", csrf="x" * 43)
    right = await browser.send("POST", "/auth/logout-all", csrf=browser.csrf_token)

    assert [a.status_code for a in (read, missing, wrong, right)] == [200, 403, 403, 204]
    assert (missing.json()["code"], wrong.json()["code"]) == ("csrf_token_missing", "csrf_token_wrong")


async def test_the_csrf_token_of_another_login_is_worth_nothing(browser: Browser, person: Person) -> None:
    await browser.log_in(person)
    other = browser.csrf_token
    await browser.log_in(person)

    # The attacker may even plant the cookie of their own login: what counts is in the access token.
    browser.jar["alphapulse_csrf"] = other
    answer = await browser.send("POST", "/auth/logout-all", csrf=other)

    assert answer.json()["code"] == "csrf_token_wrong"


async def test_a_bearer_token_in_a_cookie_changes_nothing(browser: Browser, person: Person) -> None:
    await person.log_in()
    browser.jar["alphapulse_access"] = person.tokens["access_token"]

    answer = await browser.send("POST", "/auth/logout-all", csrf="x" * 43)

    assert answer.json()["code"] == "csrf_token_wrong"


async def test_every_function_takes_the_cookie_and_asks_for_the_csrf_token(
    browser: Browser, person: Person, functions: Functions
) -> None:
    await browser.log_in(person)
    elsewhere = Browser(functions.caller("portfolio"))
    elsewhere.jar = browser.jar

    assert (await elsewhere.send("GET", "/portfolio")).status_code == 200
    trade = Browser(functions.caller("trade"))
    trade.jar = browser.jar
    assert (await trade.send("POST", "/trades/cancel-all")).json()["code"] == "csrf_token_missing"


async def test_a_refresh_by_cookie_rotates_the_cookies_and_keeps_the_csrf_token(
    browser: Browser, person: Person
) -> None:
    await browser.log_in(person)
    before = dict(browser.jar)

    forged = await browser.send("POST", "/auth/refresh")
    wrong = await browser.send("POST", "/auth/refresh", csrf="x" * 43)
    answer = await browser.send("POST", "/auth/refresh", csrf=browser.csrf_token)
    browser.take(answer)

    assert [forged.status_code, wrong.status_code, answer.status_code] == [403, 403, 200]
    assert browser.jar["alphapulse_refresh"] != before["alphapulse_refresh"]
    assert browser.jar["alphapulse_csrf"] == before["alphapulse_csrf"]
    assert "access_token" not in answer.json()
    again = await browser.send("POST", "/auth/refresh", csrf=browser.csrf_token)
    assert again.status_code == 200


async def test_a_stolen_refresh_cookie_used_twice_ends_the_login(browser: Browser, person: Person) -> None:
    await browser.log_in(person)
    stolen = dict(browser.jar)
    browser.take(await browser.send("POST", "/auth/refresh", csrf=browser.csrf_token))
    rightful, browser.jar = dict(browser.jar), stolen

    thief = await browser.send("POST", "/auth/refresh", csrf=browser.csrf_token)
    browser.jar = rightful
    victim = await browser.send("POST", "/auth/refresh", csrf=browser.csrf_token)

    assert (thief.status_code, victim.status_code) == (401, 401)


async def test_a_logout_by_cookie_needs_the_csrf_token_and_takes_the_cookies_away(
    browser: Browser, person: Person
) -> None:
    await browser.log_in(person)

    forged = await browser.send("POST", "/auth/logout")
    answer = await browser.send("POST", "/auth/logout", csrf=browser.csrf_token)

    assert (forged.status_code, answer.status_code) == (403, 204)
    assert {"0"} == {morsel["max-age"] for morsel in cookies_of(answer).values()}
    browser.jar = {name: value for name, value in browser.jar.items() if name != "alphapulse_access"}
    assert (await browser.send("POST", "/auth/refresh", csrf=browser.csrf_token)).status_code == 401


@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/logout"])
async def test_without_cookie_or_body_there_is_nothing_to_do(browser: Browser, path: str) -> None:
    answer = await browser.send("POST", path)

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_refresh_token")


@pytest.mark.parametrize(
    "value", ["", "x", "a.b.c", "é".encode().decode("latin-1"), "x" * 5000], ids=lambda value: value[:5]
)
async def test_a_malformed_cookie_is_401(browser: Browser, value: str) -> None:
    browser.jar["alphapulse_access"] = value

    assert (await browser.send("GET", "/tenants/me")).status_code == 401


async def test_a_header_counts_before_a_cookie_and_two_headers_are_refused(
    browser: Browser, person: Person, stranger: Person, issue_key: Callable[..., Any]
) -> None:
    await browser.log_in(person)
    bearer = {"Authorization": f"Bearer {stranger.tokens['access_token']}"}

    seen = await browser.send("GET", "/tenants/me", headers=bearer)
    key = await issue_key(stranger)
    both = await browser.send("GET", "/tenants/me", headers=bearer | {"X-API-Key": key["key"]})

    assert seen.json()["id"] == str(stranger.tenant_id)
    assert (both.status_code, both.json()["code"]) == (401, "ambiguous_credentials")
