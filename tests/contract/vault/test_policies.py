"""What policies allow: the rules of the language, then who reaches what with the repository's policies."""

import pytest

from alphapulse.tenancy.tenant import TenantId
from tests.contract.vault.rig import Rig

_GRANTED = [
    # policy, method, path, status
    ('path "secret/data/t/*" { capabilities = ["read"] }', "GET", "secret/data/t/a", 404),
    ('path "secret/data/t/*" { capabilities = ["read"] }', "GET", "secret/data/t/a/b", 404),
    ('path "secret/data/t/*" { capabilities = ["read"] }', "GET", "secret/data/t", 403),
    ('path "secret/data/t/*" { capabilities = ["read"] }', "GET", "secret/data/tt/a", 403),
    ('path "secret/data/t/*" { capabilities = ["read"] }', "POST", "secret/data/t/a", 403),
    ('path "secret/data/t/*" { capabilities = ["read"] }', "DELETE", "secret/data/t/a", 403),
    ('path "secret/data/t*" { capabilities = ["read"] }', "GET", "secret/data/tx", 404),
    ('path "secret/data/t" { capabilities = ["read"] }', "GET", "secret/data/t", 404),
    ('path "secret/data/t" { capabilities = ["read"] }', "GET", "secret/data/t/a", 403),
    ('path "secret/data/+/a" { capabilities = ["read"] }', "GET", "secret/data/x/a", 404),
    ('path "secret/data/+/a" { capabilities = ["read"] }', "GET", "secret/data/x/y/a", 403),
    ('path "secret/data/+/a" { capabilities = ["read"] }', "GET", "secret/data/x/b", 403),
    ('path "secret/data/+/x/*" { capabilities = ["read"] }', "GET", "secret/data/1/x/2/3", 404),
    # A star elsewhere than at the end is a star.
    ('path "secret/data/*/a" { capabilities = ["read"] }', "GET", "secret/data/x/a", 403),
    # The most specific pattern decides, also when it grants less.
    (
        'path "secret/data/*" { capabilities = ["read"] } path "secret/data/t/*" { capabilities = ["deny"] }',
        "GET",
        "secret/data/t/a",
        403,
    ),
    (
        'path "secret/data/*" { capabilities = ["deny"] } path "secret/data/t/a" { capabilities = ["read"] }',
        "GET",
        "secret/data/t/a",
        404,
    ),
    (
        (
            'path "secret/data/+/a" { capabilities = ["deny"] }'
            ' path "secret/data/t/a" { capabilities = ["read"] }'
        ),
        "GET",
        "secret/data/t/a",
        404,
    ),
    (
        (
            'path "secret/data/t/*" { capabilities = ["read"] }'
            ' path "secret/data/+/a" { capabilities = ["deny"] }'
        ),
        "GET",
        "secret/data/t/a",
        404,
    ),
    ('path "secret/data/t/*" { capabilities = ["read", "deny"] }', "GET", "secret/data/t/a", 403),
    ('path "secret/metadata/t/*" { capabilities = ["list"] }', "LIST", "secret/metadata/t", 404),
    ('path "secret/metadata/t/*" { capabilities = ["list"] }', "LIST", "secret/metadata/t/a", 404),
    ('path "secret/metadata/t" { capabilities = ["list"] }', "LIST", "secret/metadata/t", 404),
    ('path "secret/metadata/t" { capabilities = ["list"] }', "LIST", "secret/metadata", 403),
    ('path "secret/metadata/t/*" { capabilities = ["read"] }', "LIST", "secret/metadata/t/a", 403),
    # Comments of all three kinds.
    (
        '# one\n// two\n/* three */ path "secret/data/t/*" {\n  capabilities = ["read",] # last\n}\n',
        "GET",
        "secret/data/t/a",
        404,
    ),
    ("", "GET", "secret/data/t/a", 403),
]


@pytest.mark.parametrize(("policy", "method", "path", "status"), _GRANTED)
def test_a_pattern_grants_what_it_says(vault: Rig, policy: str, method: str, path: str, status: int) -> None:
    # An empty policy is not stored by every server; a comment is.
    token = vault.token(policy or "# nothing")

    assert status == vault.ask(method, path, token=token)[0]


def test_policies_add_up_and_deny_wins(vault: Rig) -> None:
    names = [f"test-{TenantId.new()}" for _ in range(3)]
    for name, capability in zip(names, ("read", "create", "deny"), strict=True):
        text = f'path "secret/data/sum/*" {{ capabilities = ["{capability}"] }}'
        vault.ask("PUT", f"sys/policies/acl/{name}", {"policy": text})

    def token(held: list[str]) -> str:
        body = {"policies": held, "no_default_policy": True, "ttl": "10m"}
        return str(vault.ask("POST", "auth/token/create", body)[1]["auth"]["client_token"])

    path = f"secret/data/sum/{TenantId.new()}"
    two, three = token(names[:2]), token(names)

    assert vault.ask("POST", path, {"data": {"a": "b"}}, token=two)[0] == 200
    assert vault.ask("GET", path, token=two)[0] == 200
    assert vault.ask("POST", path, {"data": {"a": "c"}}, token=two)[0] == 403  # that is an update
    assert vault.ask("GET", path, token=three)[0] == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"data": {"a": "b"}}, 200),
        ({"data": {"a": "b"}, "options": {"cas": 0}}, 403),
        ({"options": {}}, 403),
    ],
)
def test_parameters_are_allowed_and_required(vault: Rig, body: dict[str, object], status: int) -> None:
    token = vault.token(
        """path "secret/data/parameters/*" {
          capabilities = ["create", "update"]
          allowed_parameters = { "data" = [] }
          required_parameters = ["data"]
        }"""
    )
    path = f"secret/data/parameters/{TenantId.new()}"

    assert status == vault.ask("POST", path, body, token=token)[0]


@pytest.mark.parametrize(
    "text", ['path "a" { capabilities = ["fly"] }', 'path "a" {', "hello", 'path "a" { nonsense = ["x"] }']
)
def test_what_is_not_a_policy_is_refused(vault: Rig, text: str) -> None:
    assert vault.ask("PUT", "sys/policies/acl/test-wrong", {"policy": text})[0] == 400


async def test_a_removed_policy_takes_its_tokens_rights_at_once(vault: Rig) -> None:
    tenant_id = await vault.new_tenant()
    token, path = vault.tenant_token(tenant_id), f"secret/data/tenants/{tenant_id}/x"
    assert vault.ask("POST", path, {"data": {"a": "b"}}, token=token)[0] == 200

    vault.ask("DELETE", f"sys/policies/acl/tenant-{tenant_id}")

    assert vault.ask("GET", path, token=token)[0] == 403


_WAYS = [
    ("GET", "secret/data/tenants/{0}/exchanges/kraken", None),
    ("POST", "secret/data/tenants/{0}/exchanges/kraken", {"data": {"a": "b"}}),
    ("DELETE", "secret/data/tenants/{0}/exchanges/kraken", None),
    ("GET", "secret/metadata/tenants/{0}/exchanges/kraken", None),
    ("POST", "secret/metadata/tenants/{0}/exchanges/kraken", {"max_versions": 1}),
    ("DELETE", "secret/metadata/tenants/{0}/exchanges/kraken", None),
    ("LIST", "secret/metadata/tenants/{0}/exchanges", None),
    ("LIST", "secret/metadata/tenants/{0}", None),
    ("POST", "secret/delete/tenants/{0}/exchanges/kraken", {"versions": [1]}),
    ("POST", "secret/undelete/tenants/{0}/exchanges/kraken", {"versions": [1]}),
    ("POST", "secret/destroy/tenants/{0}/exchanges/kraken", {"versions": [1]}),
]
_PLATFORM = [
    ("LIST", "secret/metadata/tenants", None),
    ("LIST", "secret/metadata", None),
    ("GET", "secret/config", None),
    ("GET", "secret/data/platform/token-signing", None),
    ("POST", "secret/data/platform/token-signing", {"data": {"a": "b"}}),
    ("GET", "sys/policies/acl/function", None),
    ("PUT", "sys/policies/acl/tenant-{0}", {"policy": 'path "*" { capabilities = ["read"] }'}),
    ("GET", "sys/mounts", None),
    ("POST", "sys/mounts/other", {"type": "kv"}),
    ("GET", "sys/auth", None),
    ("GET", "auth/approle/role/accounts/role-id", None),
    ("POST", "auth/approle/role/accounts/secret-id", {}),
    ("POST", "auth/token/roles/tenant", {"allowed_policies_glob": ["*"]}),
]


@pytest.mark.parametrize(("method", "path", "body"), [*_WAYS, *_PLATFORM])
async def test_a_tenants_token_reaches_nothing_of_another_tenant_or_the_platform(
    vault: Rig, method: str, path: str, body: dict[str, object] | None
) -> None:
    own, foreign = await vault.new_tenant(), await vault.new_tenant()
    vault.ask("POST", f"secret/data/tenants/{foreign}/exchanges/kraken", {"data": {"api_key": "k"}})
    token = vault.tenant_token(own)

    assert vault.ask(method, path.format(foreign), body, token=token)[0] == 403


@pytest.mark.parametrize("function", ["credential-health", "credentials", "accounts", "provision-vault"])
@pytest.mark.parametrize(("method", "path", "body"), _WAYS)
async def test_no_functions_own_login_reads_or_writes_a_tenants_secret(
    vault: Rig, function: str, method: str, path: str, body: dict[str, object] | None
) -> None:
    allowed = {("LIST", True), ("DELETE", True)} if function == "provision-vault" else set()
    tenant_id = await vault.new_tenant()
    vault.ask("POST", f"secret/data/tenants/{tenant_id}/exchanges/kraken", {"data": {"api_key": "k"}})

    status = vault.ask(method, path.format(tenant_id), body, token=vault.function_token(function))[0]

    assert (status != 403) == ((method, "metadata" in path) in allowed)


@pytest.mark.parametrize("function", ["credentials", "credential-health", "provision-verify"])
@pytest.mark.parametrize(("method", "path", "body"), _PLATFORM)
def test_a_plain_functions_login_reaches_nothing_of_the_platform(
    vault: Rig, function: str, method: str, path: str, body: dict[str, object] | None
) -> None:
    token = vault.function_token(function)

    assert vault.ask(method, path.format(TenantId.new()), body, token=token)[0] == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "sys/policies/acl/function"),
        ("PUT", "sys/policies/acl/accounts"),
        ("DELETE", "sys/policies/acl/provisioner"),
        ("GET", "secret/data/platform/token-signing"),
        ("DELETE", "secret/metadata/platform/token-signing"),
        ("LIST", "secret/metadata/platform"),
    ],
)
def test_the_provisioner_keeps_to_tenants(vault: Rig, method: str, path: str) -> None:
    token = vault.function_token("provision-vault")

    assert vault.ask(method, path, {"policy": "# x"} if method == "PUT" else None, token=token)[0] == 403


def test_only_accounts_reads_the_signing_keys(vault: Rig) -> None:
    path = "secret/data/platform/token-signing"

    assert vault.ask("GET", path, token=vault.function_token("accounts"))[0] in (200, 404)


@pytest.mark.parametrize(
    ("function", "status"),
    [("provision-vault", 403), ("provision-compensate", 403), ("provision-verify", 200)],
)
async def test_of_the_provisioning_functions_only_the_one_that_acts_as_a_tenant_mints_its_token(
    vault: Rig, function: str, status: int
) -> None:
    body = {"policies": [f"tenant-{await vault.new_tenant()}"], "ttl": "300s"}
    token = vault.function_token(function)

    assert vault.ask("POST", "auth/token/create/tenant", body, token=token)[0] == status


@pytest.mark.parametrize("function", ["provision-vault", "provision-compensate"])
def test_a_function_that_mints_no_tokens_looks_after_its_own_login(vault: Rig, function: str) -> None:
    token = vault.function_token(function)

    done = [
        vault.ask(method, f"auth/token/{way}-self", {} if method == "POST" else None, token=token)[0]
        for method, way in (("GET", "lookup"), ("POST", "renew"), ("POST", "revoke"))
    ]

    assert done == [200, 200, 204]
