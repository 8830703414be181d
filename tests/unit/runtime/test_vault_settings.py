"""How a function's settings name Vault and its login."""

from pathlib import Path

import pytest

from alphapulse.runtime.resources import NotConfigured, Resources
from alphapulse.runtime.settings import InvalidSetting, Settings
from alphapulse.tenancy.vault import AppRoleLogin, KubernetesLogin

_ADDRESS = {"VAULT_ADDR": "https://vault.example:8200"}
_FILES = {"VAULT_ROLE_ID_FILE": "/a/role-id", "VAULT_SECRET_ID_FILE": "/a/secret-id"}


def _resources(environment: dict[str, str]) -> Resources:
    return Resources(Settings.from_environment(environment))


@pytest.mark.parametrize(
    ("environment", "login"),
    [
        (_FILES, AppRoleLogin(Path("/a/role-id"), Path("/a/secret-id"))),
        ({"VAULT_K8S_ROLE": "trade"}, KubernetesLogin("trade")),
        ({**_FILES, "VAULT_K8S_ROLE": "trade"}, KubernetesLogin("trade")),
        (
            {"VAULT_K8S_ROLE": "trade", "VAULT_K8S_TOKEN_FILE": "/b/token"},
            KubernetesLogin("trade", Path("/b/token")),
        ),
    ],
)
async def test_a_function_logs_in_as_its_settings_say(environment: dict[str, str], login: object) -> None:
    resources = _resources({**_ADDRESS, **environment})

    assert resources.vault.session._login == login
    assert resources.vault is resources.vault
    await resources.close()


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "VAULT_ADDR is not set"),
        (_FILES, "VAULT_ADDR is not set"),
        (_ADDRESS, "neither VAULT_K8S_ROLE nor VAULT_ROLE_ID_FILE and VAULT_SECRET_ID_FILE"),
        ({**_ADDRESS, "VAULT_ROLE_ID_FILE": "/a"}, "neither VAULT_K8S_ROLE"),
    ],
)
def test_a_function_without_an_address_or_a_login_says_what_is_missing(
    environment: dict[str, str], message: str
) -> None:
    with pytest.raises(NotConfigured, match=message):
        _ = _resources(environment).vault


@pytest.mark.parametrize("address", ["vault:8200", "https://u:p@vault", "https://vault/v1", "file:///x"])
def test_an_address_is_a_scheme_a_host_and_a_port(address: str) -> None:
    with pytest.raises(InvalidSetting, match="VAULT_ADDR"):
        Settings.from_environment({"VAULT_ADDR": address})
