"""The whole platform by cookie, by API key, with a second factor, and after a forgotten password."""

import re
import time
from typing import Any

import httpx
import pyotp
import pytest

from alphapulse_local.testing import RunningPlatform
from tests.e2e.conftest import User, eventually

pytestmark = pytest.mark.e2e

NEW_PASSWORD = "another horse battery"


def mailed_token(platform: RunningPlatform, email: str, subject: str) -> str:
    """Return the token of the newest mail with a subject."""

    def letters() -> list[dict[str, Any]]:
        items = httpx.get(f"{platform.url}/mailbox.json?to={email}", trust_env=False).json()["items"]
        return [item for item in items if item["subject"] == subject]

    found = re.search(r"#token=(\S+)", eventually(letters, bool)[0]["text"])
    assert found is not None
    return found[1]


def test_a_browser_works_by_cookie(platform: RunningPlatform, user: User) -> None:
    credentials = {"email": user.email, "password": user.password}
    with httpx.Client(base_url=platform.url, timeout=60, trust_env=False) as browser:
        login = browser.post("/auth/login?cookie=true", json=credentials)
        csrf = {"X-CSRF-Token": login.json()["csrf_token"]}
        read = [browser.get("/tenants/me"), browser.get("/portfolio")]
        without = browser.post("/trades/cancel-all")
        changed = browser.post("/trades/cancel-all", headers=csrf)
        refreshed = browser.post("/auth/refresh", headers=csrf)
        after = browser.post("/trades/cancel-all", headers=csrf)
        ended = browser.post("/auth/logout", headers=csrf)
        gone = browser.get("/tenants/me")

    assert len(login.headers.get_list("set-cookie")) == 3
    assert [answer.status_code for answer in read] == [200, 200]
    assert (without.status_code, without.json()["code"]) == (403, "csrf_token_missing")
    assert [a.status_code for a in (changed, refreshed, after, ended, gone)] == [200, 200, 200, 204, 401]


def test_a_script_works_by_api_key_until_it_is_revoked(platform: RunningPlatform, user: User) -> None:
    created = user.post("/auth/api-keys", {"name": "bot", "scopes": ["read", "trade"]})
    with httpx.Client(base_url=platform.url, timeout=60, trust_env=False) as script:
        script.headers["X-API-Key"] = created["key"]
        works = [script.get("/portfolio"), script.get("/trades"), script.post("/trades/cancel-all")]
        beyond = script.post("/agents/run", json={"symbols": ["BTC-USD"]})
        assert user.http.delete(f"/auth/api-keys/{created['id']}").status_code == 204
        time.sleep(1.0)  # what is promised
        revoked = [script.get("/portfolio"), script.get("/trades")]

    assert [answer.status_code for answer in works] == [200, 200, 200]
    assert (beyond.status_code, beyond.json()["code"]) == (403, "scope_missing")
    assert [answer.status_code for answer in revoked] == [401, 401]


def test_a_second_factor_and_a_forgotten_password(platform: RunningPlatform, user: User) -> None:
    secret = user.post("/auth/totp", {"password": user.password})["secret"]
    phone = pyotp.TOTP(secret)
    codes = user.post("/auth/totp/confirm", {"code": phone.now()}, expect=200)["recovery_codes"]
    assert user.http.post("/auth/password/forgot", json={"email": user.email}).status_code == 202
    token = mailed_token(platform, user.email, "Set a new password")

    reset = user.http.post("/auth/password/reset", json={"token": token, "password": NEW_PASSWORD})
    credentials = {"email": user.email, "password": NEW_PASSWORD}
    asked = user.http.post("/auth/login", json=credentials)
    let_in = user.http.post("/auth/login", json={**credentials, "totp": codes[0]})

    assert reset.status_code == 204
    assert (asked.status_code, asked.json()["code"]) == (401, "totp_required")
    assert let_in.status_code == 200


def test_a_new_user_proves_their_address(platform: RunningPlatform, user: User) -> None:
    token = mailed_token(platform, user.email, "Confirm your e-mail address")

    assert user.http.post("/auth/email/verify", json={"token": token}).status_code == 204
    assert user.get("/tenants/me/users")["items"][0]["email_verified_at"] is not None
    trail = user.get("/tenants/me/audit")
    actions = {item["action"] for item in trail["items"]}
    assert trail["verified"] is True
    assert {"tenant.signed_up", "user.logged_in", "user.email_verified"} <= actions
