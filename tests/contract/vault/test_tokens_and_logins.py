"""Who gets a token, what it may be made into, and when it ends."""

from typing import Any

import pytest

from alphapulse.tenancy.tenant import TenantId
from tests.contract.vault.rig import Rig, eventually

_SELF = """
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
"""


def _approle(vault: Rig, **settings: Any) -> tuple[str, str]:
    """Make an AppRole and return (its name, its role id)."""
    name = f"test-{TenantId.new()}"
    vault.ask("PUT", f"sys/policies/acl/{name}", {"policy": _SELF})
    body = {"token_policies": [name], "token_no_default_policy": True, **settings}
    assert vault.ask("POST", f"auth/approle/role/{name}", body)[0] in (200, 204)
    return name, str(vault.ask("GET", f"auth/approle/role/{name}/role-id")[1]["data"]["role_id"])


def _secret_id(vault: Rig, name: str) -> str:
    return str(vault.ask("POST", f"auth/approle/role/{name}/secret-id", {})[1]["data"]["secret_id"])


def _log_in(vault: Rig, role_id: str, secret_id: str) -> tuple[int, Any]:
    body = {"role_id": role_id, "secret_id": secret_id}
    return vault.ask("POST", "auth/approle/login", body, token="")


def _looked_up(vault: Rig, token: str) -> tuple[int, Any]:
    return vault.ask("GET", "auth/token/lookup-self", token=token)


def test_an_approle_gives_a_renewable_service_token_with_the_functions_policies_only(vault: Rig) -> None:
    data = _looked_up(vault, vault.function_token("provision-vault"))[1]["data"]

    assert sorted(data["policies"]) == ["provisioner", "self"]
    assert (data["type"], data["renewable"]) == ("service", True)
    assert 1190 <= data["ttl"] <= 1200


@pytest.mark.parametrize("wrong", ["role", "secret", "both", "other role's secret"])
def test_a_wrong_login_is_refused_without_saying_what_is_wrong(vault: Rig, wrong: str) -> None:
    name, role_id = _approle(vault)
    other, _ = _approle(vault)
    secret_id = _secret_id(vault, other if wrong.startswith("other") else name)
    role_id = role_id if wrong in ("secret", "other role's secret") else str(TenantId.new())
    secret_id = secret_id if wrong in ("role", "other role's secret") else str(TenantId.new())

    status, answer = _log_in(vault, role_id, secret_id)

    assert status == 400
    assert "invalid" in answer["errors"][0]
    assert secret_id not in str(answer)


def test_a_secret_id_ends_with_its_life(vault: Rig) -> None:
    name, role_id = _approle(vault, secret_id_ttl=2)
    secret_id = _secret_id(vault, name)

    assert _log_in(vault, role_id, secret_id)[0] == 200
    eventually(lambda: _log_in(vault, role_id, secret_id)[0] == 400)


def test_a_secret_id_can_be_good_for_one_login(vault: Rig) -> None:
    name, role_id = _approle(vault, secret_id_num_uses=1)
    secret_id = _secret_id(vault, name)

    assert [_log_in(vault, role_id, secret_id)[0] for _ in range(2)] == [200, 400]


def test_a_destroyed_secret_id_logs_nobody_in(vault: Rig) -> None:
    name, role_id = _approle(vault)
    secret_id = _secret_id(vault, name)
    vault.ask("POST", f"auth/approle/role/{name}/secret-id/destroy", {"secret_id": secret_id})

    assert _log_in(vault, role_id, secret_id)[0] == 400


def test_a_token_ends_with_its_life(vault: Rig) -> None:
    name, role_id = _approle(vault, token_ttl=2)
    token = _log_in(vault, role_id, _secret_id(vault, name))[1]["auth"]["client_token"]

    assert _looked_up(vault, token)[0] == 200
    eventually(lambda: _looked_up(vault, token)[0] == 403)


def test_a_renewal_prolongs_a_token_up_to_its_longest_life(vault: Rig) -> None:
    name, role_id = _approle(vault, token_ttl=2, token_max_ttl=4)
    token = _log_in(vault, role_id, _secret_id(vault, name))[1]["auth"]["client_token"]

    status, answer = vault.ask("POST", "auth/token/renew-self", {}, token=token)

    assert status == 200
    assert 1 <= answer["auth"]["lease_duration"] <= 4
    eventually(lambda: vault.ask("POST", "auth/token/renew-self", {}, token=token)[0] == 403)


def test_a_revoked_token_is_worthless_at_once(vault: Rig) -> None:
    token = vault.token(_SELF)

    assert vault.ask("POST", "auth/token/revoke-self", token=token)[0] in (200, 204)
    assert _looked_up(vault, token)[0] == 403


def test_with_a_token_those_it_made_end_too(vault: Rig) -> None:
    parent = vault.token(_SELF + 'path "auth/token/create" { capabilities = ["update"] }')
    child = vault.ask("POST", "auth/token/create", {"no_default_policy": True}, token=parent)[1]["auth"][
        "client_token"
    ]
    assert _looked_up(vault, child)[0] == 200

    vault.ask("POST", "auth/token/revoke-self", token=parent)

    eventually(lambda: _looked_up(vault, child)[0] == 403)


@pytest.mark.parametrize("token", ["", "hvs.unknown", "hvb.AAAA", "s.123", "root"])
def test_no_token_and_an_invented_one_are_denied(vault: Rig, token: str) -> None:
    assert vault.ask("GET", "secret/data/tenants/x", token=token)[0] in (400, 403)


async def test_a_tenants_token_is_a_short_batch_token_with_one_policy(vault: Rig) -> None:
    tenant_id = await vault.new_tenant()
    body = {"policies": [f"tenant-{tenant_id}"], "ttl": "300s"}
    function = vault.function_token("credentials")

    auth = vault.ask("POST", "auth/token/create/tenant", body, token=function)[1]["auth"]

    assert [f"tenant-{tenant_id}"] == auth["policies"]
    assert (auth["token_type"], auth["renewable"], auth["orphan"]) == ("batch", False, True)
    assert 290 <= auth["lease_duration"] <= 300


async def test_a_tenants_token_mints_no_token_and_cannot_be_prolonged(vault: Rig) -> None:
    token = vault.tenant_token(await vault.new_tenant())

    for path in ("create", "create/tenant", "renew-self", "revoke-self"):
        assert vault.ask("POST", f"auth/token/{path}", {}, token=token)[0] == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"policies": ["root"], "ttl": "300s"}, 400),
        ({"policies": ["default"], "ttl": "300s"}, 400),
        ({"policies": ["provisioner"], "ttl": "300s"}, 400),
        ({"policies": ["tenant-a", "accounts"], "ttl": "300s"}, 400),
        ({"policies": ["xtenant-a"], "ttl": "300s"}, 400),
        ({"policies": ["tenant-a"], "ttl": "301s"}, 403),
        ({"policies": ["tenant-a"], "ttl": "768h"}, 403),
        ({"policies": ["tenant-a"]}, 403),
        ({"ttl": "300s"}, 403),
        ({"policies": ["tenant-a"], "ttl": "300s", "type": "service"}, 403),
        ({"policies": ["tenant-a"], "ttl": "300s", "no_parent": True}, 403),
        ({"policies": ["tenant-a"], "ttl": "300s", "period": "1h"}, 403),
        ({"policies": ["tenant-a"], "ttl": "300s", "id": "chosen"}, 403),
    ],
    ids=str,
)
def test_a_function_mints_nothing_but_short_tokens_of_tenants(
    vault: Rig, body: dict[str, Any], status: int
) -> None:
    token = vault.function_token("credentials")

    assert status == vault.ask("POST", "auth/token/create/tenant", body, token=token)[0]


@pytest.mark.parametrize("path", ["create", "create-orphan", "create/other", "roles/tenant", "lookup"])
def test_a_function_reaches_no_other_way_to_tokens(vault: Rig, path: str) -> None:
    token = vault.function_token("credentials")

    assert vault.ask("POST", f"auth/token/{path}", {"policies": ["root"]}, token=token)[0] == 403


def test_a_child_has_no_policy_its_parent_lacks(vault: Rig) -> None:
    parent = vault.token('path "auth/token/create" { capabilities = ["update"] }')

    assert vault.ask("POST", "auth/token/create", {"policies": ["accounts"]}, token=parent)[0] in (400, 403)


def test_a_role_of_batch_tokens_must_be_of_orphans_that_are_not_renewable(vault: Rig) -> None:
    body = {"token_type": "batch", "orphan": False, "renewable": True}

    assert vault.ask("POST", "auth/token/roles/test-wrong", body)[0] == 400
