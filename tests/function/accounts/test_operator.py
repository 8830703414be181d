"""The operator's commands: the first administrator, and a new signing key."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import jwt
import pytest

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.settings import Secret, Settings
from functions.accounts import operator
from tests.function.accounts.conftest import Person
from tests.function.conftest import Clock, Functions
from tests.processes import ROOT
from tests.vault_for_functions import FunctionVault

PASSWORD = "a password of the operator"
PROVISIONER = ROOT / "knative/platform/vault/policies/provisioner.hcl"


def run(database: DatabaseUrls, key_file: Path, *arguments: str, entered: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "functions.accounts.operator", *arguments],
        env=os.environ
        | {
            "FUNCTION": "accounts",
            "PLATFORM_DATABASE_URL": database.platform,
            "TOKEN_SIGNING_KEY_FILE": str(key_file),
            "PYTHONPATH": str(ROOT),
        },
        input=entered,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def key_file(function_settings: Settings) -> Path:
    assert function_settings.token_signing_key_file is not None
    return function_settings.token_signing_key_file


async def log_in(api: httpx.AsyncClient, email: str) -> httpx.Response:
    return await api.post("/auth/login", json={"email": email, "password": PASSWORD})


async def test_the_first_administrator_founds_the_tenant_the_next_ones_join(
    empty_database: DatabaseUrls, key_file: Path
) -> None:
    outcomes = [
        run(
            empty_database,
            key_file,
            "create-admin",
            "--email",
            f"{name}@example.com",
            entered=f"{PASSWORD}\n",
        )
        for name in ("first", "second", "first")
    ]

    assert [code for code, *_ in outcomes] == [0, 0, 1]
    assert outcomes[0][1].split("tenant ")[1] == outcomes[1][1].split("tenant ")[1]
    assert "the address has an account" in outcomes[2][2]
    assert PASSWORD not in str(outcomes)


async def test_an_administrator_logs_in_and_neither_trades_nor_owns(
    api: httpx.AsyncClient, functions: Functions, database: DatabaseUrls, key_file: Path, tmp_path: Path
) -> None:
    email = f"admin-{tmp_path.name}@example.com".lower()
    code, _, errors = run(database, key_file, "create-admin", "--email", email, entered=f"{PASSWORD}\n")
    assert code == 0, errors

    tokens = (await log_in(api, email)).json()
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    refused = [
        await functions.caller("trade").post("/trades/cancel-all", headers=bearer),
        await api.get("/tenants/me/users", headers=bearer),
        await api.post("/auth/api-keys", json={"name": "bot"}, headers=bearer),
    ]

    assert claims["role"] == "platform_admin"
    assert [answer.status_code for answer in refused] == [403, 403, 403]


async def test_a_place_in_vault_is_made_by_who_may_provision(
    empty_database: DatabaseUrls, settings_with_vault: Settings, key_file: Path, vault: FunctionVault
) -> None:
    settings = settings_with_vault.replace(platform_database_url=Secret(empty_database.platform))
    nobody = Resources(settings)
    with pytest.raises(operator.Refused, match="no platform administrator"):
        await operator.open_vault(nobody)
    tenant_id = await operator.create_admin(nobody, email="ada@example.com", password=PASSWORD)
    with pytest.raises(operator.Refused):
        await operator.open_vault(nobody)
    await nobody.close()

    vault.send("PUT", "sys/policies/acl/provisioner", {"policy": PROVISIONER.read_text()})
    vault.send("POST", "auth/approle/role/operator", {"token_policies": ["provisioner"]})
    role_id, secret_id = key_file.with_name("role-id"), key_file.with_name("secret-id")
    role_id.write_text(vault.send("GET", "auth/approle/role/operator/role-id")["data"]["role_id"])
    secret_id.write_text(vault.send("POST", "auth/approle/role/operator/secret-id", {})["data"]["secret_id"])
    provisioner = Resources(settings.replace(vault_role_id_file=role_id, vault_secret_id_file=secret_id))

    assert await operator.open_vault(provisioner) == tenant_id
    assert await provisioner.platform_vault.tenant_exists(tenant_id)
    await provisioner.close()


@pytest.mark.parametrize(
    ("email", "entered"),
    [("admin@example.com", ""), ("admin@example.com", "short\n"), ("nobody", f"{PASSWORD}\n")],
)
async def test_there_is_no_default_password_and_no_bad_address(
    database: DatabaseUrls, key_file: Path, email: str, entered: str
) -> None:
    code, output, errors = run(database, key_file, "create-admin", "--email", email, entered=entered)

    assert (code, output) == (1, "")
    assert errors
    assert not entered.strip() or entered.strip() not in errors


async def test_a_rotated_key_signs_after_a_while_and_no_login_ends(
    owner: Person, functions: Functions, database: DatabaseUrls, key_file: Path, clock: Clock
) -> None:
    before = jwt.get_unverified_header(owner.tokens["access_token"])["kid"]
    done = run(database, key_file, "rotate-signing-key")
    again = run(database, key_file, "rotate-signing-key")
    clock.advance(minutes=5)
    published = (await owner.api.get("/.well-known/jwks.json")).json()["keys"]
    clock.advance(minutes=6)
    refreshed = (await owner.refresh()).json()

    assert (done[0], again[0]) == (0, 1)
    assert "the last rotation is not over" in again[2]
    assert (len(published), before in {key["kid"] for key in published}) == (2, True)
    assert (await owner.api.get("/tenants/me")).status_code == 200
    assert jwt.get_unverified_header(refreshed["access_token"])["kid"] != before
    owner.api.headers["Authorization"] = f"Bearer {refreshed['access_token']}"
    assert (await owner.api.get("/tenants/me")).status_code == 200


async def test_a_leaked_key_is_withdrawn_and_logins_go_on_by_refreshing(
    owner: Person, database: DatabaseUrls, key_file: Path, clock: Clock
) -> None:
    code, _, errors = run(database, key_file, "rotate-signing-key", "--at-once")
    assert code == 0, errors
    clock.advance(minutes=1)

    refreshed = (await owner.refresh()).json()
    new = {"Authorization": f"Bearer {refreshed['access_token']}"}

    assert (await owner.api.get("/tenants/me", headers=new)).status_code == 200
    assert (await owner.api.get("/tenants/me")).status_code == 401


def test_no_private_key_is_printed(database: DatabaseUrls, key_file: Path) -> None:
    outcome = run(database, key_file, "rotate-signing-key")

    stored = json.loads(key_file.with_name("keys.json").read_text())
    assert len(stored["keys"]) == 2
    assert "PRIVATE" not in str(outcome)
    assert io.StringIO(stored["keys"][1]["pem"]).readline().startswith("-----BEGIN")
