"""No secret in anything a run wrote: logs, console, status, events in the broker's log, answers."""

import re
from pathlib import Path

import httpx
import pyotp
import pytest

from alphapulse_local.testing import RunningPlatform
from tests.e2e.conftest import User, eventually

pytestmark = pytest.mark.e2e

SHORTEST_SECRET = 16


def secrets_of(platform: RunningPlatform) -> dict[str, str]:
    """Everything the platform keeps as a secret."""
    found = {}
    kept = [*(platform.state.path / "secrets").rglob("*"), platform.state.path / "secret-store/root-token"]
    for path in kept:
        if path.is_file():
            text = path.read_text()
            # A PEM file is searched for by its key material, any other by its words.
            for number, word in enumerate(text.replace('"', " ").replace(",", " ").split()):
                if len(word) >= SHORTEST_SECRET and "---" not in word and not word.endswith(":"):
                    found[f"{path.name}#{number}"] = word
    return found


def written_by(platform: RunningPlatform) -> dict[str, str]:
    """What the platform wrote that is not itself a secret store or a database."""
    files = [platform.console, *(platform.state.path / "logs").rglob("*")]
    files += (platform.state.path).rglob("*.aof*")
    files += (platform.state.path / "secret-store").glob("*.log")
    return {str(path): path.read_bytes().decode("latin-1") for path in files if Path(path).is_file()}


def used_by(platform: RunningPlatform, user: User) -> dict[str, str]:
    """Use everything else that one logs in with, rightly and wrongly, and return it."""
    key = user.post("/auth/api-keys", {"name": "bot"})["key"]
    cookies = user.http.post(
        "/auth/login?cookie=true", json={"email": user.email, "password": user.password}
    ).json()
    totp = user.post("/auth/totp", {"password": user.password})
    confirmed = user.post("/auth/totp/confirm", {"code": pyotp.TOTP(totp["secret"]).now()}, expect=200)
    user.http.post("/auth/password/forgot", json={"email": user.email})
    letters = f"{platform.url}/mailbox.json?to={user.email}"
    mails = eventually(
        lambda: httpx.get(letters, trust_env=False).json()["items"],
        lambda items: "Set a new password" in {item["subject"] for item in items},
    )
    tokens = [re.search(r"#token=(\S+)", mail["text"]) for mail in mails]
    mailed = {f"mailed token {n}": token[1] for n, token in enumerate(tokens) if token}
    for mark in ("", "x"):
        with httpx.Client(base_url=platform.url, timeout=60, trust_env=False) as other:
            other.get("/portfolio", headers={"X-API-Key": key + mark})
            for token in mailed.values():
                other.post("/auth/email/verify", json={"token": token + mark})
            code = confirmed["recovery_codes"][0] + mark
            body = {"email": user.email, "password": user.password, "totp": code}
            other.post("/auth/login", json=body)
    codes = {f"recovery code {n}": code for n, code in enumerate(confirmed["recovery_codes"])}
    return {"key": key, "csrf token": cookies["csrf_token"], "totp": totp["secret"], **codes, **mailed}


def test_nothing_a_run_wrote_holds_a_secret(platform: RunningPlatform, user: User) -> None:
    user.follow_technical_alone("1d")
    user.finished_run(user.run_agents("BTC-USD"))
    user.post("/trades", {"symbol": "BTC-USD", "side": "buy", "type": "market", "quantity": "0.01"})
    user.http.post("/auth/login", json={"email": user.email, "password": user.password + "x"})
    user.http.get("/trades", headers={"Authorization": "Bearer " + user.tokens["access_token"] + "x"})
    secret = secrets_of(platform) | {
        "password": user.password,
        "access token": user.tokens["access_token"],
        "refresh token": user.tokens["refresh_token"],
        **used_by(platform, user),
    }
    assert len(secret) >= 8

    written = written_by(platform)
    assert sum(map(len, written.values())) > 1000
    leaks = [
        f"{name} in {path}"
        for name, value in secret.items()
        for path, text in written.items()
        if value in text
    ]

    assert leaks == []


def test_the_secrets_are_readable_by_their_owner_only(platform: RunningPlatform) -> None:
    modes = {path.name: path.stat().st_mode & 0o077 for path in (platform.state.path / "secrets").rglob("*")}

    assert modes
    assert {0} == set(modes.values()), modes
